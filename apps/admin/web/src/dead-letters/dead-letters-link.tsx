import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { admin } from "../rpc.js";

/** On the pages of a dead-letter topic: whose letters these are, and where they can be redriven. Nothing for other topics. */
export function DeadLettersLink({ topic }: { readonly topic: string }): ReactNode {
  const listed = useQuery({
    queryKey: ["dead-letters"],
    queryFn: ({ signal }) => admin.listDeadLetters({}, { signal }),
    enabled: topic.endsWith(".dlq"),
  });
  const queue = listed.data?.queues.find(({ deadLetterTopic }) => deadLetterTopic === topic);
  if (queue === undefined) return null;
  return (
    <p className="mb-4 rounded-lg border border-line bg-panel px-4 py-2.5 text-[13px]">
      Here is what {queue.group} has given up of {queue.topic}.{" "}
      <Link
        to="/dead-letters/$topic/$group"
        params={{ topic: queue.topic, group: queue.group }}
        className="text-accent underline"
      >
        By reason, redrive or discard
      </Link>
    </p>
  );
}
