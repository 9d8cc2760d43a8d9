import type { TopicInfo } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { formatCount, formatTime } from "../parts/format.js";
import { Panel } from "../parts/panel.js";
import { AddPartitionsDialog } from "./add-partitions-dialog.js";
import { AlterTopicDialog } from "./alter-topic-dialog.js";
import { type ConfigRow, configRows } from "./config-rows.js";
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
        {rowsOf(topic).map(({ name, value, isDefault }) => (
          <div key={name} className="flex justify-between gap-4 border-b border-line pb-1">
            <dt className="text-muted">{name}</dt>
            <dd className="m-0 tabular-nums">
              {value}
              {isDefault && <span className="ml-1.5 text-xs text-muted">default</span>}
            </dd>
          </div>
        ))}
      </dl>
      {open === "alter" && <AlterTopicDialog topic={topic} onClose={close} />}
      {open === "partitions" && <AddPartitionsDialog topic={topic} onClose={close} />}
      {open === "purge" && <PurgeDialog topic={topic} onClose={close} />}
    </Panel>
  );
}

function rowsOf({ config, createdAtMs, version }: TopicInfo): readonly ConfigRow[] {
  return [
    { name: "partitions", value: formatCount(config?.partitions ?? 0), isDefault: false },
    ...configRows(config),
    { name: "created", value: formatTime(createdAtMs), isDefault: false },
    { name: "version", value: String(version), isDefault: false },
  ];
}
