import { getRouteApi, Link, Outlet, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useMay } from "../access/access-store.js";
import { DeadLettersLink } from "../dead-letters/dead-letters-link.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { counted } from "../parts/format.js";
import { NotThere } from "../parts/not-there.js";
import { PageHeader } from "../parts/page-header.js";
import { say } from "../parts/toasts.js";
import { TypedConfirm } from "../parts/typed-confirm.js";
import { admin } from "../rpc.js";
import { useTopic } from "../topics/use-topic.js";

const route = getRouteApi("/topics/$topic");
const refreshMs = 5_000;

/** What is around every page of one topic: its name, its acts and its tabs. */
export function TopicLayout(): ReactNode {
  const { topic } = route.useParams();
  const navigate = useNavigate();
  const live = useLive();
  const mayChangeTopics = useMay("admin");
  const [deleting, setDeleting] = useState(false);
  const readers = [...live.groups.values()].filter(({ topics }) => topics.includes(topic));
  const consumers = readers.reduce((sum, { members }) => sum + members, 0);
  const row = live.topics.get(topic);
  const readOnly = live.facts?.readOnly === true;
  const { data } = useTopic(topic, refreshMs);
  if (data === null) return <NotThere title={`There is no topic ${topic}`} to="/topics" all="All topics" />;
  const isThere = data !== undefined || row !== undefined;

  return (
    <>
      <PageHeader
        title={topic}
        above={
          <Link to="/topics" className="text-muted">
            Topics
          </Link>
        }
      >
        <CopyAs
          gmq={`gmq topics describe ${quote(topic)} --broker ${live.facts?.brokerUrl ?? ""}\ngmq consume ${quote(topic)} --no-follow --broker ${live.facts?.brokerUrl ?? ""}`}
          curl={curlOf("AdminService/DescribeTopic", { topic })}
        />
        {isThere && !readOnly && mayChangeTopics && <Button onClick={() => setDeleting(true)}>Delete…</Button>}
      </PageHeader>
      <nav aria-label="Topic" className="mb-5 flex gap-1 overflow-x-auto border-b border-line">
        <Tab to="/topics/$topic" topic={topic} name="Partitions and groups" />
        <Tab to="/topics/$topic/messages" topic={topic} name="Messages" />
        {!readOnly && <Tab to="/topics/$topic/produce" topic={topic} name="Produce" />}
      </nav>
      <DeadLettersLink topic={topic} />
      <Outlet />
      {deleting && (
        <TypedConfirm
          title={`Delete topic ${topic}`}
          name={topic}
          act="Delete the topic"
          commands={{ gmq: `gmq topics delete ${quote(topic)}`, curl: curlOf("AdminService/DeleteTopic", { topic }) }}
          run={() => admin.deleteTopic({ topic })}
          onClose={() => setDeleting(false)}
          onDone={() => {
            say(`Deleted topic ${topic}`);
            void navigate({ to: "/topics" });
          }}
        >
          <p>This cannot be undone. It deletes:</p>
          <ul className="my-2 list-disc pl-5">
            <li>
              {row === undefined ? "every record" : counted(row.records, "record")} in{" "}
              {row === undefined ? "every partition" : counted(row.partitions, "partition")}
            </li>
            <li>
              {readers.length === 0
                ? "no group's state: no group has read this topic"
                : `what ${counted(readers.length, "group")} (${readers
                    .slice(0, 5)
                    .map(({ name }) => name)
                    .join(", ")}${readers.length > 5 ? ", …" : ""}) has settled of it`}
            </li>
          </ul>
          {consumers > 0 && (
            <p className="font-medium text-warn">
              {counted(consumers, "consumer is", "consumers are")} reading it now.
            </p>
          )}
        </TypedConfirm>
      )}
    </>
  );
}

function Tab({
  to,
  topic,
  name,
}: {
  readonly to: "/topics/$topic" | "/topics/$topic/messages" | "/topics/$topic/produce";
  readonly topic: string;
  readonly name: string;
}): ReactNode {
  return (
    <Link
      to={to}
      params={{ topic }}
      activeOptions={{ exact: true, includeSearch: false }}
      className="-mb-px border-b-2 border-transparent px-2 py-2 text-[13px] font-medium whitespace-nowrap text-muted sm:px-3 no-underline hover:text-ink aria-[current=page]:border-accent aria-[current=page]:text-accent"
    >
      {name}
    </Link>
  );
}
