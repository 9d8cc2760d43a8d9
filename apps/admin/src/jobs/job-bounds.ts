import { GmqError } from "@gmq/protocol";
import type { PortalJob } from "@gmq/protocol/messages";

/** Bounds of a portal's jobs. */
export const jobBounds = {
  /** That wait or run at once. */
  active: 16,
  /** That have ended and are kept. */
  ended: 200,
  /** Bytes of exports that are kept. */
  fileBytes: 1024 * 1024 * 1024,
  delayMs: 300_000,
  /** Outcomes kept of a job: of items that went well, and of others. */
  outcomes: 20_000,
} as const;

const pageDefault = 100;
const pageMax = 1_000;

/** The size of a page of outcomes. @throws GmqError `invalid_argument` */
export function limitOf(limit: number): number {
  if (limit > pageMax)
    throw new GmqError("invalid_argument", `limit is ${limit}`, { field: "limit", limit: `1 to ${pageMax}` });
  return limit === 0 ? pageDefault : limit;
}

/** Of jobs that have ended, oldest first: those that are too many, and those whose files take too much room. */
export function removable(ended: readonly PortalJob[]): PortalJob[] {
  let bytes = 0;
  const newestFirst = ended.toReversed();
  return newestFirst.filter(({ fileBytes }, index) => {
    bytes += Number(fileBytes);
    return index >= jobBounds.ended || (fileBytes > 0n && bytes > jobBounds.fileBytes);
  });
}
