import type { Logger } from "@gmq/log";
import { fnv1a32, GmqError } from "@gmq/protocol";
import type { Signal as SignalMessage } from "@gmq/protocol/messages";
import type { NodeTransportOptions } from "@gmq/transport";
import { openStorageLink, type StorageLink } from "./storage-link.js";

/** The links to every storage service of a store, and which one to ask. */
export interface Links {
  /**
   * The service for a name (a partition, a group): the same one while it is ready, so that what belongs together meets in one process; any can answer.
   * Waits a short while when none is ready. @throws GmqError `store_unavailable`, `closed`
   */
  for(name: string): Promise<StorageLink>;
  /** The same, without waiting. */
  readyFor(name: string): StorageLink | undefined;
  /** Every one, ready or not, in the order of the URLs. */
  readonly all: readonly StorageLink[];
  /** Why nothing is ready; undefined when something is. */
  readonly problem: GmqError | undefined;
  /** Refuses what comes now, and ends every link once it has answered what is in flight. */
  close(): Promise<void>;
}

/** Signals are the same from every service of a store, so one of them is listened to. */
export interface LinksEvents {
  signals(signals: readonly SignalMessage[]): void;
  /** Another service is listened to now: signals may have been lost. */
  resync(): void;
}

/** How long a call waits for a service to come back. */
const waitMs = 2_000;

const encoder = new TextEncoder();

/** Opens a link to each service. */
export function openLinks(
  targets: readonly NodeTransportOptions[],
  brokerId: string,
  logger: Logger,
  events: LinksEvents,
): Links {
  const waiters = new Set<() => void>();
  let speaker: StorageLink | undefined;
  let closed = false;
  /** Forgotten when a link changes. */
  let chosen = new Map<string, StorageLink>();

  const links: StorageLink[] = targets.map((target) => {
    const link: StorageLink = openStorageLink(target, brokerId, logger, {
      changed,
      signals: (signals) => link === speaker && events.signals(signals),
    });
    return link;
  });

  function changed(): void {
    chosen = new Map();
    const next = links.find(({ ready }) => ready);
    if (next !== speaker) {
      speaker = next;
      if (next !== undefined) events.resync();
    }
    if (next !== undefined) for (const wake of [...waiters]) wake();
  }

  /** Rendezvous hashing: each name ranks the services its own way, so a lost one's names spread over the others. */
  function choose(name: string): StorageLink | undefined {
    const known = chosen.get(name);
    if (known !== undefined) return known;
    let best: StorageLink | undefined;
    let bestScore = -1;
    for (const link of links) {
      if (!link.ready) continue;
      const score = links.length === 1 ? 0 : mix(fnv1a32(encoder.encode(`${link.url} ${name}`)));
      if (score > bestScore) {
        best = link;
        bestScore = score;
      }
    }
    if (best !== undefined) chosen.set(name, best);
    return best;
  }

  function currentProblem(): GmqError | undefined {
    if (closed) return new GmqError("closed", "the engine is closed");
    if (links.some(({ ready }) => ready)) return undefined;
    const problem = links.find((link) => link.problem !== undefined)?.problem;
    return new GmqError("store_unavailable", `no storage service answers: ${problem?.message ?? "not linked yet"}`, {
      cause: problem,
    });
  }

  function whenSomeReady(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      waiters.add(wake);
    });
  }

  return {
    async for(name) {
      if (closed) throw new GmqError("closed", "the engine is closed");
      const link = choose(name);
      if (link !== undefined) return link;
      await whenSomeReady();
      if (closed) throw new GmqError("closed", "the engine is closed");
      const late = choose(name);
      if (late !== undefined) return late;
      throw currentProblem() ?? new GmqError("store_unavailable", "no storage service answers");
    },
    readyFor: (name) => (closed ? undefined : choose(name)),
    all: links,
    get problem() {
      return currentProblem();
    },
    async close() {
      closed = true;
      for (const wake of [...waiters]) wake();
      await Promise.all(links.map((link) => link.close()));
    },
  };
}

/** Spreads the bits of a hash whose inputs differ only at the end (MurmurHash3's finalizer). */
function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
