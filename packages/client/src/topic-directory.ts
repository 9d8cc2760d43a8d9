import { GmqError } from "@gmq/protocol";
import { bounded, type CallOptions } from "./call-options.js";
import type { Link } from "./link.js";

/** How many partitions topics have, as a broker told last. */
export interface TopicDirectory {
  /** What is known without asking; `nowMs` by `performance.now()`. */
  peek(topic: string, nowMs: number): number | undefined;
  /** Asks a broker, which may make the topic. @throws GmqError `topic_not_found`, `invalid_name`, `unavailable` when there is no broker in time */
  partitions(topic: string, options: CallOptions): Promise<number>;
  /** Forgets a topic. */
  forget(topic: string): void;
}

/** What was told is asked again in the background when it is used after this time: a topic may have grown. */
const refreshMs = 30_000;
/** A question that has no answer after this time is given up, for all who asked it. */
const answerMsMax = 30_000;

/** Makes a directory over a link; concurrent questions about one topic are asked once. */
export function createTopicDirectory(link: Link): TopicDirectory {
  const known = new Map<string, { readonly partitions: number; refreshAtMs: number }>();
  const asking = new Map<string, Promise<number>>();

  async function ask(topic: string): Promise<number> {
    const request = link.request({ case: "resolveTopic", value: { topic } });
    const answer = await bounded(request, { timeoutMs: answerMsMax }, `asking for topic ${topic}`);
    if (answer.case !== "resolvedTopic") throw new GmqError("internal", "the broker's answer has no partitions");
    known.set(topic, { partitions: answer.value.partitions, refreshAtMs: performance.now() + refreshMs });
    return answer.value.partitions;
  }

  /** Of everybody who asks now: nobody's own signal or deadline ends it. */
  function askOnce(topic: string): Promise<number> {
    let question = asking.get(topic);
    if (question === undefined) {
      question = ask(topic);
      asking.set(topic, question);
      const done = (): void => void asking.delete(topic);
      question.then(done, done);
    }
    return question;
  }

  async function untilTold(topic: string, options: CallOptions): Promise<number> {
    for (;;) {
      await link.whenOpen(options);
      try {
        return await askOnce(topic);
      } catch (error) {
        // The session was lost: the next one is asked.
        if (link.welcome !== undefined) throw error;
      }
    }
  }

  return {
    peek(topic, nowMs) {
      const told = known.get(topic);
      if (told === undefined) return undefined;
      if (nowMs > told.refreshAtMs) {
        told.refreshAtMs = nowMs + refreshMs;
        askOnce(topic).catch(() => undefined); // what was told before still stands, and is asked again later
      }
      return told.partitions;
    },
    partitions: (topic, options) => bounded(untilTold(topic, options), options, `asking for topic ${topic}`),
    forget: (topic) => void known.delete(topic),
  };
}
