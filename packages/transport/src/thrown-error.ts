import { GmqError } from "@gmq/protocol";

/**
 * What a caller is told of what its handler threw. What is neither a GmqError nor becomes one is a defect: the caller gets `internal` without its text, `defect` gets all of it; it
 * hears of an `internal` of our own, too.
 */
export function errorToTell(thrown: unknown, defect: (thrown: unknown) => void): GmqError {
  const error = GmqError.from(thrown);
  if (error.code !== "internal") return error;
  defect(thrown);
  return GmqError.is(thrown) ? thrown : new GmqError("internal", "a defect in GMQ; the server's log tells more");
}
