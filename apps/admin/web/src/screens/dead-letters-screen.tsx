import type { DeadLetterQueue } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { GroupLink, TopicLink } from "../parts/entity-links.js";
import { formatCount } from "../parts/format.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Panel } from "../parts/panel.js";
import { admin } from "../rpc.js";

const refreshMs = 5_000;

/** Screen 8: which groups have given records up. */
export function DeadLettersScreen(): ReactNode {
  const listed = useQuery({
    queryKey: ["dead-letters"],
    queryFn: ({ signal }) => admin.listDeadLetters({}, { signal }),
    refetchInterval: refreshMs,
  });
  return (
    <>
      <PageHeader title="Dead letters">
        <CopyAs gmq="gmq dlq list" curl={curlOf("AdminService/ListDeadLetters", {})} />
      </PageHeader>
      <Panel title="By group and topic" note="records that a group has given up">
        {listed.error !== null && (
          <div className="px-4 py-3">
            <ProblemNotice error={listed.error} />
          </div>
        )}
        {listed.isPending ? (
          <Loading what="dead letters" />
        ) : (
          <DataTable
            caption="Dead letters by group and topic"
            columns={columns}
            rows={listed.data?.queues ?? []}
            rowKey={({ deadLetterTopic }) => deadLetterTopic}
            empty={
              <Empty title="No group has given a record up">
                A record that a handler rejects, or that fails too often, is kept here with its reason.
              </Empty>
            }
          />
        )}
      </Panel>
    </>
  );
}

const columns: readonly Column<DeadLetterQueue>[] = [
  { id: "group", header: "Group", cell: ({ group }) => <GroupLink group={group} /> },
  { id: "topic", header: "Topic", grow: true, cell: ({ topic }) => <TopicLink topic={topic} /> },
  {
    id: "open",
    header: "Open",
    numeric: true,
    cell: ({ open, topic, group }) => (
      <Link to="/dead-letters/$topic/$group" params={{ topic, group }} className="text-accent">
        {formatCount(open)}
        <span className="sr-only">
          {" "}
          dead letters of {group} in {topic}
        </span>
      </Link>
    ),
  },
];
