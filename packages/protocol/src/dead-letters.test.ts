import { describe, expect, it } from "vitest";
import { boundedDedupeId, deadLetterTopic, isDeadLetterTopicName } from "./dead-letters.js";
import { limits } from "./limits.js";
import { isName } from "./names.js";

describe("deadLetterTopic", () => {
  it("is made of topic and group", () => {
    expect(deadLetterTopic("orders", "billing")).toBe("orders.billing.dlq");
    expect(isDeadLetterTopicName("orders.billing.dlq")).toBe(true);
    expect(isDeadLetterTopicName("orders")).toBe(false);
  });

  it("stays within the name limit, the same for the same names and another for others", () => {
    const long = "t".repeat(limits.nameLengthMax);
    const one = deadLetterTopic(long, "g1");
    expect(one).toHaveLength(limits.nameLengthMax);
    expect(isName(one)).toBe(true);
    expect(isDeadLetterTopicName(one)).toBe(true);
    expect(deadLetterTopic(long, "g1")).toBe(one);
    expect(deadLetterTopic(long, "g2")).not.toBe(one);
    const exact = "t".repeat(limits.nameLengthMax - ".g.dlq".length);
    expect(deadLetterTopic(exact, "g")).toBe(`${exact}.g.dlq`);
  });

  it("tells long names apart that are cut to the same text", () => {
    const half = "n".repeat(limits.nameLengthMax - 1);
    expect(deadLetterTopic(`${half}.a`, "b")).not.toBe(deadLetterTopic(half, "a.b"));
  });
});

describe("boundedDedupeId", () => {
  it("keeps what fits and hashes the rest", () => {
    expect(boundedDedupeId("orders/0/5")).toBe("orders/0/5");
    const [one, other] = [boundedDedupeId(`${"x".repeat(300)}1`), boundedDedupeId(`${"x".repeat(300)}2`)];
    expect(one).toHaveLength(limits.dedupeIdBytesMax);
    expect(one).not.toBe(other);
  });
});
