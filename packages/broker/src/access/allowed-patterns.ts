import { GmqError } from "@gmq/protocol";
import type { Caller } from "@gmq/transport";
import type { TopicPatterns } from "../topic-patterns.js";

/** Patterns of one caller: of what matches it gets what it may consume. */
export interface AllowedPatterns extends Pick<TopicPatterns, "resolve" | "watch"> {
  /** The caller's rights changed: tells its watchers; false when of all topics none is left to one of them. */
  recheck(): boolean;
}

interface Watched {
  /** Everything that matched last, allowed or not. */
  matching: readonly string[];
  readonly changed: (topics: string[]) => void;
}

/** Narrows the patterns of a broker down to one caller's. */
export function allowedPatterns(patterns: Pick<TopicPatterns, "resolve" | "watch">, caller: Caller): AllowedPatterns {
  const watched = new Set<Watched>();
  const resolved = new Map<string, readonly string[]>();
  const allowed = (topics: readonly string[]): string[] => topics.filter((topic) => caller.mayTopic("consume", topic));

  return {
    async resolve(list) {
      const matching = await patterns.resolve(list);
      resolved.set(list.join(), matching);
      const own = allowed(matching);
      if (own.length > 0) return own;
      // As if there were none: what there is is not told to whom it does not concern.
      throw new GmqError("topic_not_found", `no topic matches ${list.join(", ")}`, { field: "topic_patterns" });
    },
    watch(list, changed, names) {
      const item: Watched = { matching: resolved.get(list.join()) ?? [], changed };
      const stop = patterns.watch(
        list,
        (matching) => {
          item.matching = matching;
          changed(allowed(matching));
        },
        names,
      );
      watched.add(item);
      return () => {
        watched.delete(item);
        stop();
      };
    },
    recheck() {
      let somethingLeft = true;
      for (const { matching, changed } of [...watched]) {
        const own = allowed(matching);
        if (own.length === 0 && matching.length > 0) somethingLeft = false;
        else changed(own);
      }
      return somethingLeft;
    },
  };
}
