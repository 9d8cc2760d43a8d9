import type { DeadLetter } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useLive } from "../live/live-store.js";
import { GroupLink } from "../parts/entity-links.js";
import { counted } from "../parts/format.js";
import { Badge } from "../parts/panel.js";
import { admin } from "../rpc.js";

const queuesRefreshMs = 5_000;
const letterRefreshMs = 15_000;
const lettersMax = 1_000;

interface SettledInProps {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly group: string;
}

/** How a record stands that a group has settled: it is done with, or given up and an open dead letter. */
export function SettledIn(props: SettledInProps): ReactNode {
  const { group } = props;
  const letter = useDeadLetter(props);
  if (typeof letter === "string") {
    return (
      <>
        {letter === "asking" ? <Badge>…</Badge> : <Badge tone="good">settled</Badge>}
        <GroupLink group={group} />
        {letter === "unsure" && (
          <span className="text-xs text-muted">
            or a dead letter: not all of them could be looked at, see{" "}
            <DeadLettersOf {...props}>the group's dead letters</DeadLettersOf>
          </span>
        )}
      </>
    );
  }
  const { reason, attempts } = letter;
  return (
    <>
      <Badge tone="bad">dead letter</Badge>
      <GroupLink group={group} />
      <span className="min-w-0 text-xs text-muted wrap-anywhere">
        given up after {counted(attempts, "attempt")}: {reason === "" ? "no reason given" : reason} ·{" "}
        <DeadLettersOf {...props}>redrive or discard</DeadLettersOf>
      </span>
    </>
  );
}

function DeadLettersOf({ topic, group, children }: SettledInProps & { readonly children: string }): ReactNode {
  return (
    <Link to="/dead-letters/$topic/$group" params={{ topic, group }} className="text-accent underline">
      {children}
    </Link>
  );
}

/** The record's open dead letter. "unsure": it may be among those that were not looked at. */
function useDeadLetter({ topic, partition, offset, group }: SettledInProps): DeadLetter | "none" | "unsure" | "asking" {
  const { topics, loaded } = useLive();
  const listed = useQuery({
    queryKey: ["dead-letters"],
    queryFn: ({ signal }) => admin.listDeadLetters({}, { signal }),
    refetchInterval: queuesRefreshMs,
  });
  const queue = listed.data?.queues.find((one) => one.topic === topic && one.group === group);
  const isOpen = queue !== undefined && queue.open > 0n;
  // A letter lies in the partition of its origin, as far as there are as many.
  const partitions = topics.get(queue?.deadLetterTopic ?? "")?.partitions;
  const filter = partitions === undefined ? {} : { partition: partition % partitions };
  const looked = useQuery({
    queryKey: ["dead-letter-of", topic, group, partition, String(offset), partitions],
    queryFn: async ({ signal }) => {
      const { letters, complete, more } = await admin.listDeadLetters(
        { topic, group, filter, limit: lettersMax },
        { signal },
      );
      const own = letters.find((one) => one.partition === partition && one.offset === offset);
      return own ?? (complete && !more ? "none" : "unsure");
    },
    enabled: isOpen && loaded,
    refetchInterval: letterRefreshMs,
  });
  if (listed.isPending) return "asking";
  return isOpen ? (looked.data ?? (looked.error === null ? "asking" : "unsure")) : "none";
}
