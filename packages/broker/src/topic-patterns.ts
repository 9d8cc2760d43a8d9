/** Subscriptions to topics by pattern: which topics match now, and when that changes. */

import type { Logger } from "@gmq/log";
import { GmqError, limits, topicPattern } from "@gmq/protocol";
import type { Signal, TopicStore } from "@gmq/storage";

export interface TopicPatterns {
  /**
   * The topics that match now, by name.
   * @throws GmqError `invalid_name`, `invalid_argument`, `topic_not_found` when nothing matches, and the store's errors
   */
  resolve(patterns: readonly string[]): Promise<string[]>;
  /** Calls `changed` with the topics that match or are named, at once and after topics were made, changed or deleted, until the returned function is called. */
  watch(patterns: readonly string[], changed: (topics: string[]) => void, names?: readonly string[]): () => void;
  signal(signal: Signal): void;
  close(): void;
}

interface Watcher {
  readonly test: (topic: string) => boolean;
  readonly changed: (topics: string[]) => void;
}

const retryMs = 500;

/** Makes the watcher of one broker. All its watchers share one listing of topics, however many signals come meanwhile. */
export function createTopicPatterns(topics: Pick<TopicStore, "list">, logger: Logger): TopicPatterns {
  const watchers = new Set<Watcher>();
  let looking = false;
  let again = false;
  let retry: NodeJS.Timeout | undefined;

  async function names(): Promise<string[]> {
    return (await topics.list()).map(({ name }) => name).sort();
  }

  async function look(): Promise<void> {
    clearTimeout(retry);
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    do {
      again = false;
      try {
        const all = await names();
        for (const { test, changed } of [...watchers]) changed(all.filter(test));
      } catch (error) {
        logger.warn("topics could not be listed for subscriptions by pattern", { error });
        retry = setTimeout(() => void look(), retryMs);
      }
    } while (again);
    looking = false;
  }

  return {
    async resolve(patterns) {
      const test = testOf(patterns);
      const matching = (await names()).filter(test);
      if (matching.length > 0) return matching;
      throw new GmqError("topic_not_found", `no topic matches ${patterns.join(", ")}`, { field: "topic_patterns" });
    },
    watch(patterns, changed, names = []) {
      const matches = testOf(patterns);
      const watcher = { test: (topic: string) => matches(topic) || names.includes(topic), changed };
      watchers.add(watcher);
      // What changed since they were resolved.
      if (patterns.length > 0) void look();
      return () => void watchers.delete(watcher);
    },
    signal({ kind }) {
      if (watchers.size > 0 && (kind === "topic" || kind === "resync")) void look();
    },
    close() {
      clearTimeout(retry);
      watchers.clear();
    },
  };
}

function testOf(patterns: readonly string[]): (topic: string) => boolean {
  if (patterns.length > limits.topicPatternsPerSubscriptionMax) {
    throw new GmqError("invalid_argument", `${patterns.length} topic patterns`, {
      field: "topic_patterns",
      limit: `${limits.topicPatternsPerSubscriptionMax} patterns`,
    });
  }
  const tests = patterns.map(topicPattern);
  return (topic) => tests.some((test) => test(topic));
}
