import type { GmqError } from "@gmq/protocol";
import type { Fetched, GroupStore, PartitionFetch } from "@gmq/storage";

/** The follow of one dispatcher: at most one at a time. */
export interface FollowedLog {
  /** Entries may come. While it is so nothing else reads on. */
  readonly isOpen: boolean;
  /** Begins one unless the engine has none to give now. */
  start(fetch: PartitionFetch): void;
  /** Asks for its end; what is on its way still comes. */
  stop(): void;
}

/** Makes it, closed. `ended` is called when it is closed again; a follow that failed is not begun again before `mayStart` is called: who follows has to have read. */
export function createFollowedLog(
  follow: GroupStore["follow"],
  fetched: (fetched: Fetched) => void,
  ended: (error: GmqError | undefined) => void,
): FollowedLog & { mayStart(): void } {
  let isOpen = false;
  let isStopping = false;
  let hasFailed = false;
  let end: (() => void) | undefined;

  return {
    get isOpen() {
      return isOpen;
    },
    start(fetch) {
      if (hasFailed || follow === undefined) return;
      isOpen = true;
      isStopping = false;
      end = follow(fetch, {
        fetched,
        ended(error) {
          isOpen = false;
          hasFailed = error !== undefined;
          ended(error);
        },
      });
      if (end === undefined) isOpen = false;
    },
    stop() {
      if (!isOpen || isStopping) return;
      isStopping = true;
      end?.();
    },
    mayStart() {
      hasFailed = false;
    },
  };
}
