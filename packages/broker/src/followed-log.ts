import type { GmqError } from "@gmq/protocol";
import type { Fetched, FollowEvents, GroupStore, PartitionFetch } from "@gmq/storage";

/** The follow of one dispatcher: at most one at a time. */
export interface FollowedLog {
  /** Entries may come. While it is so nothing else reads on. */
  readonly isOpen: boolean;
  /** Begins one unless the engine has none to give now, or one has failed and nothing was read since. */
  start(fetch: PartitionFetch): void;
  /** Asks for its end; what is on its way still comes. */
  stop(): void;
  /** Who follows has read: one that failed may be begun again. */
  mayStart(): void;
}

/** Makes it, closed; the owner is told when it is closed again. */
export function createFollowedLog(follow: GroupStore["follow"], owner: FollowEvents): FollowedLog {
  return new OneFollow(follow, owner);
}

/** A class, as a dispatcher is one. */
class OneFollow implements FollowedLog, FollowEvents {
  readonly #follow: GroupStore["follow"];
  readonly #owner: FollowEvents;
  #isOpen = false;
  #isStopping = false;
  #hasFailed = false;
  #end: (() => void) | undefined;

  constructor(follow: GroupStore["follow"], owner: FollowEvents) {
    this.#follow = follow;
    this.#owner = owner;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  start(fetch: PartitionFetch): void {
    if (this.#hasFailed || this.#follow === undefined) return;
    this.#isOpen = true;
    this.#isStopping = false;
    this.#end = this.#follow(fetch, this);
    if (this.#end === undefined) this.#isOpen = false;
  }

  stop(): void {
    if (!this.#isOpen || this.#isStopping) return;
    this.#isStopping = true;
    this.#end?.();
  }

  mayStart(): void {
    this.#hasFailed = false;
  }

  fetched(fetched: Fetched): void {
    this.#owner.fetched(fetched);
  }

  ended(error: GmqError | undefined): void {
    this.#isOpen = false;
    this.#hasFailed = error !== undefined;
    this.#owner.ended(error);
  }
}
