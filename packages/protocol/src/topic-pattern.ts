import { GmqError } from "./errors.js";
import { limits } from "./limits.js";

/** Ending of topics that hold a group's dead letters: only a pattern that says so matches them. */
const deadLetterEnding = ".dlq";

/** True for a text that is a pattern and not a name: it has a `*`. */
export function isTopicPattern(text: string): boolean {
  return text.includes("*");
}

/**
 * A test for topic names. `*` stands for any characters, also none and also dots: `orders.*` matches `orders.eu` and `orders.eu.paid`, not `orders`. Topics that end in
 * `.dlq` match only a pattern that ends so.
 * @throws GmqError `invalid_name` naming `topic_patterns` when it is empty, too long, has no `*` or a character that no name has
 */
export function topicPattern(pattern: string): (topic: string) => boolean {
  if (!/^[A-Za-z0-9._*-]{1,249}$/.test(pattern) || !isTopicPattern(pattern)) {
    throw new GmqError("invalid_name", `not a topic pattern: ${JSON.stringify(pattern.slice(0, 64))}`, {
      field: "topic_patterns",
      limit: `1 to ${limits.nameLengthMax} characters of A-Z a-z 0-9 . _ - with one * or more`,
    });
  }
  const expression = new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll(/\*+/g, ".*")}$`);
  const isForDeadLetters = pattern.endsWith(deadLetterEnding);
  return (topic) => expression.test(topic) && (isForDeadLetters || !topic.endsWith(deadLetterEnding));
}
