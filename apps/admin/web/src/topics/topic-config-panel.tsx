import type { TopicInfo } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { formatBytes, formatCount, formatDuration, formatTime } from "../parts/format.js";
import { Panel } from "../parts/panel.js";
import { AddPartitionsDialog } from "./add-partitions-dialog.js";
import { AlterTopicDialog } from "./alter-topic-dialog.js";
import { PurgeDialog } from "./purge-dialog.js";

/** How a topic is set up, and the acts that change it. */
export function TopicConfigPanel({
  topic,
  readOnly,
}: {
  readonly topic: TopicInfo;
  readonly readOnly: boolean;
}): ReactNode {
  const [open, setOpen] = useState<"alter" | "partitions" | "purge">();
  const close = (): void => setOpen(undefined);
  return (
    <Panel
      title="Configuration"
      actions={
        !readOnly && (
          <div className="flex flex-wrap gap-2">
            <Button onClick={() => setOpen("alter")}>Change…</Button>
            <Button onClick={() => setOpen("partitions")}>Add partitions…</Button>
            <Button onClick={() => setOpen("purge")}>Purge…</Button>
          </div>
        )
      }
      padded
    >
      <dl className="m-0 grid gap-x-8 gap-y-1.5 text-[13px] sm:grid-cols-2 lg:grid-cols-3">
        {rowsOf(topic).map(([name, value]) => (
          <div key={name} className="flex justify-between gap-4 border-b border-line pb-1">
            <dt className="text-muted">{name}</dt>
            <dd className="m-0 tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      {open === "alter" && <AlterTopicDialog topic={topic} onClose={close} />}
      {open === "partitions" && <AddPartitionsDialog topic={topic} onClose={close} />}
      {open === "purge" && <PurgeDialog topic={topic} onClose={close} />}
    </Panel>
  );
}

function rowsOf({ config, createdAtMs, version }: TopicInfo): readonly (readonly [string, string])[] {
  const { ms = 0n, bytes = 0n, records = 0n, workQueue = false } = config?.retention ?? {};
  const bytesMax = config?.bytesMax ?? 0n;
  return [
    ["partitions", formatCount(config?.partitions ?? 0)],
    ["kept for", ms === 0n ? "for good" : formatDuration(ms)],
    ["kept per partition", bytes === 0n ? "no bound of bytes" : formatBytes(bytes)],
    ["kept records per partition", records === 0n ? "no bound" : formatCount(records)],
    ["goes once settled", workQueue ? "yes" : "no"],
    ["budget of the topic", bytesMax === 0n ? "no bound" : formatBytes(bytesMax)],
    ["created", formatTime(createdAtMs)],
    ["version", String(version)],
  ];
}
