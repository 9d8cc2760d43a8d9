import type { ConformanceContext } from "./context.js";

/** What the suite says about one subject: cases by what they claim. A new verb of the engine is a new subject, in a file of its own. */
export interface ConformanceSubject {
  readonly name: string;
  readonly cases: Readonly<Record<string, (context: ConformanceContext) => Promise<void>>>;
}
