import { describe, expect, it } from "vitest";
import { redactFields, redactText } from "./redact.js";

describe("redactFields", () => {
  it("hides secrets at any depth and under any spelling", () => {
    const clean = JSON.stringify(
      redactFields({
        password: "s3cret-1",
        options: { redis: { pass: "s3cret-2", nested: [{ Authorization: "Bearer s3cret-3" }] } },
        "redis-pass": "s3cret-4",
        headers: new Map([["set-cookie", "s3cret-5"]]),
        clientSecret: { value: "s3cret-6" },
        API_KEY: "s3cret-7",
        accessToken: "s3cret-8",
        kept: "visible",
      }),
    );
    expect(clean).not.toContain("s3cret");
    expect(clean).toContain("visible");
  });

  it("hides URL credentials in texts, URLs, error messages and stacks", () => {
    const url = "redis://user:s3cret@10.0.0.1:6379/0";
    const error = new Error(`cannot connect to ${url}`, { cause: new Error(url) });
    const clean = JSON.stringify(redactFields({ url, list: [new URL(url)], error }));
    expect(clean).not.toContain("s3cret");
    expect(clean).toContain("10.0.0.1:6379");
    expect(redactText("rediss://:pw@h and http://a/b?c=d@e")).toBe("rediss://[redacted]@h and http://a/b?c=d@e");
  });

  it("leaves the original alone", () => {
    const fields = { nested: { password: "x" } };
    redactFields(fields);
    expect(fields.nested.password).toBe("x");
  });

  it("holds what JSON cannot", () => {
    const loop: Record<string, unknown> = { at: new Date(0), bytes: new Uint8Array(3), big: 7n, set: new Set([1]) };
    loop.self = loop;
    expect(redactFields(loop)).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      bytes: "<3 bytes>",
      big: "7",
      set: [1],
      self: "[circular]",
    });
  });

  it("is bounded in depth and length", () => {
    let deep: Record<string, unknown> = { end: true };
    for (let level = 0; level < 50; level++) deep = { deep };
    expect(JSON.stringify(redactFields(deep))).toContain("[too deep]");
    const list = redactFields({ list: Array.from({ length: 250 }, (_, index) => index) }).list as unknown[];
    expect(list).toHaveLength(101);
    expect(list.at(-1)).toBe("[150 more]");
  });
});
