import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SignalSchema } from "@gmq/protocol/messages";
import type { Signal } from "../engine.js";
import { subjectOf } from "../signal-hub.js";

type SignalMessage = MessageInitShape<typeof SignalSchema>;

/** Passes signals on in batches, the newest about each thing. */
export interface SignalRelay {
  /** `later`: with the next `join`. */
  add(signal: Signal, later: boolean): void;
  /** The peer is slow: signals gather until `flow`. They are bounded by the number of partitions, groups and topics. */
  hold(): void;
  flow(): void;
  /** Sends what waits with a frame of this turn. */
  join(): void;
  close(): void;
}

/** Makes a relay that sends at the end of the turn in which a signal came. */
export function createSignalRelay(send: (batch: SignalMessage[]) => void): SignalRelay {
  let waiting = new Map<string, Signal>();
  let scheduled: NodeJS.Immediate | undefined;
  let held = false;

  function flush(): void {
    if (scheduled !== undefined) clearImmediate(scheduled);
    scheduled = undefined;
    if (held || waiting.size === 0) return;
    const batch = Array.from(waiting.values(), messageOf);
    waiting = new Map();
    send(batch);
  }

  return {
    add(signal, later) {
      waiting.set(subjectOf(signal), signal);
      if (!held && !later) scheduled ??= setImmediate(flush);
    },
    hold() {
      held = true;
    },
    flow() {
      held = false;
      flush();
    },
    join: flush,
    close() {
      if (scheduled !== undefined) clearImmediate(scheduled);
      held = true;
      waiting.clear();
    },
  };
}

function messageOf(signal: Signal): SignalMessage {
  switch (signal.kind) {
    case "partition": {
      const { topic, partition, endOffset } = signal;
      return { about: { case: "partition", value: { topic, partition, endOffset } } };
    }
    case "group":
      return { about: { case: "group", value: signal.group } };
    case "topic":
      return { about: { case: "topic", value: signal.topic } };
    case "resync":
      return { about: { case: "resync", value: true } };
  }
}
