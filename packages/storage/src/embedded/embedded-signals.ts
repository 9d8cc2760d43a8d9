import type { Signal, SignalHub } from "../engine.js";
import { createSignalHub, subjectOf } from "../signal-hub.js";

/** The hub of a store that has one process: what is sent reaches every listener of the same turn's end, once per partition and turn. */
export interface EmbeddedSignals extends SignalHub {
  send(signal: Signal): void;
  close(): void;
}

/** Makes a hub. Listeners run after the current turn, so that none of them runs inside a transaction. */
export function createEmbeddedSignals(): EmbeddedSignals {
  const hub = createSignalHub();
  /** By what they are about: the newest of this turn. */
  let waiting = new Map<string, Signal>();

  function deliver(): void {
    const signals = waiting;
    waiting = new Map();
    for (const signal of signals.values()) hub.tell(signal);
  }

  return {
    subscribe: hub.subscribe,
    send(signal) {
      if (!hub.isHeard) return;
      if (waiting.size === 0) queueMicrotask(deliver);
      waiting.set(subjectOf(signal), signal);
    },
    close: hub.close,
  };
}
