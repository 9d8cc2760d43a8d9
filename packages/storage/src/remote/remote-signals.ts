import type { Signal as SignalMessage } from "@gmq/protocol/messages";
import type { SignalHub } from "../engine.js";
import { createSignalHub } from "../signal-hub.js";

export interface RemoteSignals extends SignalHub {
  receive(signals: readonly SignalMessage[]): void;
  resync(): void;
  close(): void;
}

/** Passes on what the links hear. */
export function createRemoteSignals(): RemoteSignals {
  const { subscribe, tell, close } = createSignalHub();

  return {
    subscribe,
    receive(signals) {
      for (const { about } of signals) {
        if (about.case === "partition") {
          const { topic, partition, endOffset } = about.value;
          tell({ kind: "partition", topic, partition, endOffset });
        } else if (about.case === "group") tell({ kind: "group", group: about.value });
        else if (about.case === "topic") tell({ kind: "topic", topic: about.value });
        else tell({ kind: "resync" });
      }
    },
    resync: () => tell({ kind: "resync" }),
    close,
  };
}
