import type { Signal, SignalHub } from "../engine.js";

/** The hub of a store that has one process: what is sent reaches every listener of the same turn's end, once per partition and turn. */
export interface EmbeddedSignals extends SignalHub {
  send(signal: Signal): void;
  close(): void;
}

/** Makes a hub. Listeners run after the current turn, so that none of them runs inside a transaction. */
export function createEmbeddedSignals(): EmbeddedSignals {
  const listeners = new Set<(signal: Signal) => void>();
  let waiting = new Map<string, Signal>();

  function deliver(): void {
    const signals = waiting;
    waiting = new Map();
    for (const signal of signals.values()) for (const listener of listeners) listener(signal);
  }

  return {
    subscribe(listener) {
      const own = (signal: Signal): void => listener(signal);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    send(signal) {
      if (listeners.size === 0) return;
      if (waiting.size === 0) queueMicrotask(deliver);
      waiting.set(signalKey(signal), signal);
    },
    close: () => listeners.clear(),
  };
}

/** Signals about the same thing replace each other within a turn. */
function signalKey(signal: Signal): string {
  switch (signal.kind) {
    case "partition":
      return `p:${signal.topic}/${signal.partition}`;
    case "group":
      return `g:${signal.group}`;
    case "topic":
      return `t:${signal.topic}`;
    case "resync":
      return "resync";
  }
}
