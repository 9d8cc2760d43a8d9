import type { Signal, SignalHub } from "./engine.js";

/** A hub, for the engine that brings it what it hears. */
export interface ToldSignals extends SignalHub {
  /** Tells every listener, in the order in which they subscribed. */
  tell(signal: Signal): void;
  /** Whether anybody listens. */
  readonly isHeard: boolean;
  /** Tells nobody any more. */
  close(): void;
}

/** Makes a hub. Whoever subscribes twice is told twice, until each subscription has ended. */
export function createSignalHub(): ToldSignals {
  const listeners = new Set<(signal: Signal) => void>();
  return {
    subscribe(listener) {
      const own = (signal: Signal): void => listener(signal);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    tell(signal) {
      for (const listener of listeners) listener(signal);
    },
    get isHeard() {
      return listeners.size > 0;
    },
    close: () => listeners.clear(),
  };
}

/** What a signal is about: of two about the same the newer one says everything. */
export function subjectOf(signal: Signal): string {
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
