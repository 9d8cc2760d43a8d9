import type { PendingRecord } from "@gmq/protocol/messages";
import type { ReactNode } from "react";
import { formatCount } from "../parts/format.js";
import { Panel } from "../parts/panel.js";
import { classes, Histogram } from "./histogram.js";

/** Of the records that are listed. */
export function PendingHistograms({ records }: { readonly records: readonly PendingRecord[] }): ReactNode {
  return (
    <Panel title="How they stand" note={`of ${formatCount(records.length)} listed`} padded>
      <div className="grid gap-6 md:grid-cols-3">
        <Histogram
          title="Idle, since handed out"
          bars={classes(
            records.map(({ idleMs }) => Number(idleMs)),
            [
              ["below 1 s", 1_000],
              ["below 10 s", 10_000],
              ["below 1 min", 60_000],
              ["below 10 min", 600_000],
              ["longer", Number.POSITIVE_INFINITY],
            ],
          )}
        />
        <Histogram
          title="Failed attempts"
          bars={classes(
            records.map(({ attempts }) => attempts),
            [
              ["none", 1],
              ["1", 2],
              ["2 to 4", 5],
              ["5 to 9", 10],
              ["10 and more", Number.POSITIVE_INFINITY],
            ],
          )}
        />
        <Histogram
          title="Again in, those that wait for a retry"
          bars={classes(
            records.filter(({ dueInMs }) => dueInMs > 0).map(({ dueInMs }) => dueInMs),
            [
              ["below 1 s", 1_000],
              ["below 10 s", 10_000],
              ["below 1 min", 60_000],
              ["below 10 min", 600_000],
              ["later", Number.POSITIVE_INFINITY],
            ],
          )}
        />
      </div>
    </Panel>
  );
}
