/** The promises of docs/guarantees.md, by their names there. */
export type Promised =
  | "acked-is-kept"
  | "ordered"
  | "stored-once"
  | "delivered"
  | "delayed"
  | "expired"
  | "retained"
  | "dead-lettered-once"
  | "attempts"
  | "one-owner"
  | "bounded"
  | "told";

/** A promise that a history breaks. */
export interface Violation {
  readonly promise: Promised;
  readonly text: string;
}
