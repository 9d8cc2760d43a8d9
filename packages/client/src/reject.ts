/**
 * Thrown by a handler to give a record up: it goes to the group's dead-letter topic at once, without further attempts. `reason` is what dead letters are grouped
 * by: a short text that is the same for the same trouble. Longer than 256 bytes it is cut; an empty one becomes "rejected". `cause` is kept as the dead letter's error text, up to 1,024 bytes.
 */
export class Reject extends Error {
  override readonly name = "Reject";
  readonly reason: string;

  constructor(reason: string, options?: { readonly cause?: unknown }) {
    super(reason, options);
    this.reason = reason;
  }

  /** True for a Reject of any copy of this package. */
  static is(error: unknown): error is Reject {
    return error instanceof Error && error.name === "Reject" && "reason" in error && typeof error.reason === "string";
  }
}
