import { expect, it } from "vitest";
import { isTopicPattern, topicPattern } from "./topic-pattern.js";

it("tells patterns from names", () => {
  expect(["orders", "orders.*", "*", "a.b-c_d"].map(isTopicPattern)).toEqual([false, true, true, false]);
});

it.each([
  ["orders.*", ["orders.eu", "orders.eu.paid", "orders."], ["orders", "ordersXeu", "my.orders.eu", "orders.g.dlq"]],
  ["*", ["a", "a.b"], ["a.g.dlq"]],
  ["a*z", ["az", "a.z", "abcz"], ["azb", "ba z"]],
  ["*.dlq", ["a.g.dlq"], ["a.g"]],
  ["a**b", ["ab", "axb"], ["a"]],
])("%s matches %j and not %j", (pattern, matching, others) => {
  const test = topicPattern(pattern);
  expect(matching.filter((name) => !test(name))).toEqual([]);
  expect(others.filter(test)).toEqual([]);
});

it.each(["", "orders", "a{*}", "a/*", "*".repeat(250), "a b*", "[ab]*"])("refuses %j", (pattern) => {
  expect(() => topicPattern(pattern)).toThrowError(
    expect.objectContaining({ code: "invalid_name", field: "topic_patterns" }),
  );
});

it("takes no more than linear time", () => {
  const started = performance.now();
  topicPattern("*a".repeat(100))("a".repeat(249));
  expect(performance.now() - started).toBeLessThan(5_000);
});
