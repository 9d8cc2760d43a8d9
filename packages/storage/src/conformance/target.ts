import type { Engine } from "../engine.js";

/** An engine to prove: how to get stores for it. */
export interface ConformanceTarget {
  /** Shown in the report. */
  readonly name: string;
  /** Makes an empty store that shares nothing with any other. */
  makeStore(): Promise<ConformanceStore>;
}

/** One store of the target. The suite closes what it opened before it disposes of the store. */
export interface ConformanceStore {
  /** Opens an engine over the store. Called again only after the engine before was closed. */
  open(): Promise<Engine>;
  /** True: an engine that is opened later finds everything. False: the store lives and dies with its engine. */
  readonly keepsRecords: boolean;
  /** Removes the store and what serves it. */
  dispose(): Promise<void>;
}
