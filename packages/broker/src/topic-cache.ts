import { checkName, GmqError } from "@gmq/protocol";
import type { Signal, TopicInfo, TopicStore } from "@gmq/storage";

/** Topics by name, as the store told them last; a topic signal makes the next look-up ask again. */
export interface TopicCache {
  /** What is known without asking, undefined when nothing is. */
  peek(name: string): TopicInfo | undefined;
  /** The topic, made by use where that is allowed. @throws GmqError `invalid_name`, `topic_not_found`, and the store's errors */
  resolve(name: string): Promise<TopicInfo>;
  /** The topic if it is there; it is never made. @throws GmqError the store's errors */
  find(name: string): Promise<TopicInfo | undefined>;
  /** Tells the cache of a signal. */
  signal(signal: Signal): void;
}

/** How topics come to be. */
export interface TopicCacheOptions {
  readonly autoCreate: boolean;
  readonly defaultPartitions: number;
  /** Topics in the store from which on none is made by use. */
  readonly topicsMax: number;
}

/** Topics remembered; the longest unused leave first. */
const rememberedMax = 10_000;

/** Makes the cache over a topic store. Concurrent look-ups of one name share one request. */
export function createTopicCache(
  store: TopicStore,
  { autoCreate, defaultPartitions, topicsMax }: TopicCacheOptions,
): TopicCache {
  const known = new Map<string, TopicInfo>();
  const asking = new Map<string, Promise<TopicInfo>>();
  const finding = new Map<string, Promise<TopicInfo | undefined>>();

  async function ask(name: string): Promise<TopicInfo> {
    checkName("topic", name);
    const found = await store.get(name);
    if (found !== undefined) return found;
    if (!autoCreate) throw new GmqError("topic_not_found", `there is no topic ${name}`, { field: "topic" });
    if ((await store.list()).length >= topicsMax) {
      throw new GmqError("resource_exhausted", `there are too many topics for ${name} to be made by use`, {
        field: "topic",
        limit: `${topicsMax} topics`,
      });
    }
    try {
      return await store.create(name, { partitions: defaultPartitions });
    } catch (error) {
      const made = GmqError.is(error, "topic_exists") ? await store.get(name) : undefined;
      if (made === undefined) throw error;
      return made;
    }
  }

  function remember(info: TopicInfo): void {
    known.delete(info.name);
    known.set(info.name, info);
    if (known.size <= rememberedMax) return;
    for (const oldest of known.keys()) {
      known.delete(oldest);
      return;
    }
  }

  /** One request for all who want the same at a time. */
  function share<Found extends TopicInfo | undefined>(
    requests: Map<string, Promise<Found>>,
    name: string,
    request: (name: string) => Promise<Found>,
  ): Promise<Found> {
    const shared = requests.get(name);
    if (shared !== undefined) return shared;
    const own = request(name);
    requests.set(name, own);
    void own.then(
      (info) => {
        // Dropped by a signal in between: what it found may be old.
        if (requests.get(name) !== own) return;
        requests.delete(name);
        if (info !== undefined) remember(info);
      },
      () => {
        if (requests.get(name) === own) requests.delete(name);
      },
    );
    return own;
  }

  return {
    peek: (name) => known.get(name),
    async resolve(name) {
      return known.get(name) ?? share(asking, name, ask);
    },
    async find(name) {
      return known.get(name) ?? share(finding, name, (wanted) => store.get(wanted));
    },
    signal(signal) {
      if (signal.kind === "topic") {
        known.delete(signal.topic);
        asking.delete(signal.topic);
        finding.delete(signal.topic);
      } else if (signal.kind === "resync") {
        known.clear();
        asking.clear();
        finding.clear();
      }
    },
  };
}
