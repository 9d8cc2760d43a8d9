/**
 * Retention and byte budgets of one storage process: trims what topics let go, measures what they hold, and keeps both up to date in the background. Any number
 * of processes may do this over one store at once: a trim is atomic and trims nothing twice.
 */
import type { Logger } from "@gmq/log";
import { GmqError, limits } from "@gmq/protocol";
import type { LogStore, SignalHub, TopicInfo, TopicStore } from "../engine.js";
import { type Budgets, withBudgets } from "./admission.js";
import { type ByteBudget, createByteBudget } from "./byte-budget.js";
import type { TrimStore } from "./trim-store.js";
import { purge, trimByRetention } from "./trims.js";

/** What a janitor works on. */
export interface JanitorContext {
  readonly topics: Pick<TopicStore, "list" | "get">;
  readonly store: TrimStore;
  readonly append: LogStore["append"];
  readonly signals: SignalHub;
  /** What the whole store holds and may hold; undefined: there is no bound. */
  measureStore(): Promise<StoreBytes | undefined>;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** How often it looks at every topic; default 10,000 ms. */
  readonly intervalMs: number | undefined;
}

export interface StoreBytes {
  readonly bytes: number;
  readonly bytesMax: number;
}

export interface Janitor extends Pick<LogStore, "append" | "purge"> {
  /** A topic was made or changed by this process: its budget counts from now on. */
  changed(info: TopicInfo): void;
  /** For `StoreStatus`: what is full. */
  status(): { readonly reason: string; readonly details: Readonly<Record<string, string>> };
  /** Looks no more; what it is at ends with the engine. Idempotent. */
  close(): void;
}

/** A topic with something to trim or to measure. */
interface Watched {
  info: TopicInfo;
  budget: ByteBudget | undefined;
  /** Appended by this process since the last look. */
  bytes: number;
  records: number;
  /** When to look again, by `performance.now()`. */
  dueMs: number;
}

/** While a budget presses, and after an append crossed a bound. */
const soonMs = 250;
/** After somebody, here or in another process, appended to a topic with a budget. */
const movedMs = 1_000;
/** Part of a bound that may be appended until it is looked at before its time. */
const nudgeShare = 0.1;
/** A store that refused as full though no bound of it is known counts as full until it stores again, or so long after its last refusal. */
const refusedMs = 60_000;

/** Starts a janitor; its first look comes at once. */
export function createJanitor(context: JanitorContext): Janitor {
  const { topics, store, signals, logger, nowMs } = context;
  const intervalMs = context.intervalMs ?? limits.retentionIntervalMsDefault;
  const watched = new Map<string, Watched>();
  let storeBudget: ByteBudget | undefined;
  let storeDueMs = 0;
  /** As measured last. */
  let storeBytes = 0;
  /** When the store refused as full last while no bound of it was known; undefined: it did not. */
  let refusedAtMs: number | undefined;
  let listDueMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let closed = false;

  const budgets: Budgets = {
    get any() {
      return watched.size > 0 || storeBudget !== undefined;
    },
    get store() {
      return storeBudget;
    },
    ofTopic: (topic) => watched.get(topic)?.budget,
    noted(topic, bytes, records, refused) {
      const topicWatched = watched.get(topic);
      if (storeBudget !== undefined && (storeBudget.state !== "open" || isFilling(storeBudget))) hurryStore(soonMs);
      if (topicWatched === undefined) return;
      topicWatched.bytes += bytes;
      topicWatched.records += records;
      if (refused || crossed(topicWatched)) hurry(topicWatched, soonMs);
      else if (topicWatched.budget !== undefined) hurry(topicWatched, movedMs);
    },
    storeRefused() {
      if (storeBudget !== undefined) {
        storeBudget.shut();
        return;
      }
      // A bound may have been set since the last look (maxmemory at run time). Once is enough: until the look is done, more refusals tell nothing new.
      const isNews = !awaitsRoom();
      refusedAtMs = performance.now();
      if (isNews) hurryStore(0);
    },
    get awaitsRoom() {
      return awaitsRoom();
    },
    storeTook() {
      refusedAtMs = undefined;
    },
  };

  const awaitsRoom = (): boolean => refusedAtMs !== undefined && performance.now() - refusedAtMs < refusedMs;

  /** What is stored takes more room than was counted, so the store is measured again before much of what was left is gone. */
  function isFilling({ bytes, bytesMax }: ByteBudget): boolean {
    return bytes - storeBytes > (bytesMax - storeBytes) * nudgeShare;
  }

  function crossed({ info, budget, bytes, records }: Watched): boolean {
    const { retention } = info.config;
    if (budget !== undefined && (budget.state !== "open" || bytes > budget.bytesMax * nudgeShare)) return true;
    return (
      bytes > (retention?.bytes ?? Number.POSITIVE_INFINITY) * nudgeShare ||
      records > (retention?.records ?? Number.POSITIVE_INFINITY) * nudgeShare
    );
  }

  function hurry(topicWatched: Watched, withinMs: number): void {
    const dueMs = performance.now() + withinMs;
    if (topicWatched.dueMs <= dueMs) return;
    topicWatched.dueMs = dueMs;
    wakeAt(dueMs);
  }

  function hurryStore(withinMs: number): void {
    const dueMs = performance.now() + withinMs;
    if (storeDueMs <= dueMs) return;
    storeDueMs = dueMs;
    wakeAt(dueMs);
  }

  function changed(info: TopicInfo): void {
    const { retention, bytesMax } = info.config;
    if (retention === undefined && bytesMax === undefined) {
      watched.delete(info.name);
      return;
    }
    const known = watched.get(info.name);
    if (known?.info.version === info.version) return;
    const budget = bytesMax === undefined ? undefined : createByteBudget(bytesMax);
    if (known?.budget !== undefined) budget?.measured(known.budget.bytes);
    watched.set(info.name, { info, budget, bytes: 0, records: 0, dueMs: performance.now() });
    wakeAt(0);
  }

  /** Spread over the interval, so that processes do not look all at once. */
  const later = (): number => performance.now() + intervalMs * (0.5 + Math.random() / 2);

  function wakeAt(atMs: number): void {
    if (closed || looking !== undefined || atMs >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = atMs;
    timer = setTimeout(wake, Math.max(0, atMs - performance.now()));
    timer.unref();
  }

  function wake(): void {
    timerAtMs = Number.POSITIVE_INFINITY;
    looking = look().finally(() => {
      looking = undefined;
      wakeAt(Math.min(listDueMs, storeDueMs, ...Array.from(watched.values(), ({ dueMs }) => dueMs)));
    });
  }

  async function look(): Promise<void> {
    if (performance.now() >= listDueMs) await attempt("listing topics", listTopics);
    if (performance.now() >= storeDueMs) await attempt("measuring the store", lookAtStore);
    for (const topicWatched of [...watched.values()]) {
      if (closed) return;
      if (performance.now() < topicWatched.dueMs) continue;
      topicWatched.dueMs = later();
      await attempt(`retention of ${topicWatched.info.name}`, () => lookAt(topicWatched));
    }
  }

  /** What fails now is tried again with the next look; a store that is down says so by itself. */
  async function attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      const error = GmqError.from(cause);
      const isQuiet = closed || error.code === "store_unavailable" || error.code === "topic_not_found";
      if (!isQuiet) logger.warn(`${what} failed`, { error });
    }
  }

  async function listTopics(): Promise<void> {
    listDueMs = later();
    const all = await topics.list();
    const names = new Set(all.map(({ name }) => name));
    for (const name of watched.keys()) if (!names.has(name)) watched.delete(name);
    for (const info of all) changed(info);
  }

  async function lookAtStore(): Promise<void> {
    storeDueMs = later();
    const found = await context.measureStore();
    if (found === undefined) {
      storeBudget = undefined;
      return;
    }
    const before = storeBudget?.state ?? "open";
    if (storeBudget?.bytesMax !== found.bytesMax) storeBudget = createByteBudget(found.bytesMax);
    storeBytes = found.bytes;
    if (awaitsRoom()) storeBudget.shut();
    refusedAtMs = undefined;
    storeBudget.measured(found.bytes);
    told("the store", storeBudget, before);
    if (storeBudget.state === "open") return;
    storeDueMs = performance.now() + soonMs;
    // What can go, goes now: that is how a full store drains.
    for (const topicWatched of watched.values()) topicWatched.dueMs = Math.min(topicWatched.dueMs, storeDueMs);
  }

  async function lookAt(topicWatched: Watched): Promise<void> {
    const { info, budget } = topicWatched;
    const { partitions, retention } = info.config;
    topicWatched.bytes = 0;
    topicWatched.records = 0;
    const held = await Promise.all(
      Array.from({ length: partitions }, async (_, partition) => {
        const place = { topic: info.name, partition };
        if (retention !== undefined) {
          const lost = await trimByRetention(store, place, retention, nowMs());
          if (lost > 0)
            logger.warn("retention trimmed records that groups had not settled", { ...place, records: lost });
        }
        return budget === undefined ? 0 : heldBytes(place, retention?.workQueue === true);
      }),
    );
    if (budget === undefined) return;
    const before = budget.state;
    budget.measured(held.reduce((sum, bytes) => sum + bytes, 0));
    told(`the topic ${info.name}`, budget, before);
    if (budget.state !== "open") topicWatched.dueMs = performance.now() + soonMs;
  }

  /** What counts against a budget. The last entry always stays; when nothing can go any more it must not keep the topic shut. */
  async function heldBytes(place: { topic: string; partition: number }, workQueue: boolean): Promise<number> {
    const { isEmpty, startOffset, lastBaseOffset, endOffset, bytes } = await store.ends(place);
    if (startOffset !== lastBaseOffset) return bytes;
    if (isEmpty || !workQueue) return 0;
    const settled = await store.settledUpTo(place);
    return settled !== undefined && settled >= endOffset ? 0 : bytes;
  }

  function told(what: string, budget: ByteBudget, before: ByteBudget["state"]): void {
    const facts = { bytes: budget.bytes, bytesMax: budget.bytesMax };
    if (budget.state === "full" && before !== "full") logger.warn(`${what} is full: producers are refused`, facts);
    if (budget.state !== "full" && before === "full") logger.info(`${what} has room again`, facts);
  }

  const unsubscribe = signals.subscribe((signal) => {
    if (signal.kind === "partition") {
      const topicWatched = watched.get(signal.topic);
      if (topicWatched?.budget !== undefined) hurry(topicWatched, movedMs);
    } else if (signal.kind === "topic") {
      listDueMs = Math.min(listDueMs, performance.now() + soonMs);
      wakeAt(listDueMs);
    } else if (signal.kind === "resync") {
      listDueMs = 0;
      storeDueMs = 0;
      wakeAt(0);
    }
  });
  wakeAt(0);

  return {
    append: withBudgets(context.append, budgets),
    async purge(request) {
      const info = await topics.get(request.topic);
      if (info === undefined) {
        throw new GmqError("topic_not_found", `there is no topic ${request.topic}`, { field: "topic" });
      }
      const done = await purge(store, info, request);
      const topicWatched = watched.get(info.name);
      if (topicWatched !== undefined && request.dryRun !== true) hurry(topicWatched, 0);
      return done;
    },
    changed,
    status() {
      const full = Array.from(watched.values()).filter(({ budget }) => budget?.state === "full");
      const slowed = Array.from(watched.values()).filter(({ budget }) => budget?.state === "slowed");
      const list = (some: readonly Watched[]): string => some.map(({ info }) => info.name).join(" ");
      return {
        reason: storeBudget?.state === "full" || awaitsRoom() ? "read-only: store full" : "",
        details: {
          ...(storeBudget === undefined
            ? {}
            : {
                budget_bytes: String(storeBudget.bytes),
                budget_bytes_max: String(storeBudget.bytesMax),
                budget_state: storeBudget.state,
              }),
          ...(full.length === 0 ? {} : { topics_full: list(full) }),
          ...(slowed.length === 0 ? {} : { topics_slowed: list(slowed) }),
        },
      };
    },
    close() {
      closed = true;
      unsubscribe();
      clearTimeout(timer);
    },
  };
}
