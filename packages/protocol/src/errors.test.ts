import { describe, expect, it } from "vitest";
import { type ErrorCode, errorTable, GmqError, isErrorCode } from "./errors.js";
import { checkName } from "./names.js";

describe("GmqError", () => {
  it("takes retryable from the table for every code", () => {
    for (const [code, { retryable }] of Object.entries(errorTable)) {
      expect(new GmqError(code as ErrorCode, "x").retryable).toBe(retryable);
    }
  });

  it("is recognised across copies of the package by brand, not by class", () => {
    const foreign = Object.assign(new Error("x"), { code: "fenced", [Symbol.for("gmq.error")]: true });
    expect(GmqError.is(foreign, "fenced")).toBe(true);
    expect(GmqError.is(foreign, "closed")).toBe(false);
    expect(GmqError.is(new Error("x"))).toBe(false);
  });

  it("funnels anything into one shape and keeps the cause", () => {
    const abort = new DOMException("stop", "AbortError");
    expect(GmqError.from(abort)).toMatchObject({ code: "cancelled", cause: abort });
    expect(GmqError.from(new DOMException("late", "TimeoutError")).code).toBe("deadline_exceeded");
    expect(GmqError.from("text")).toMatchObject({ code: "internal", message: "text" });
    expect(isErrorCode("fenced")).toBe(true);
    expect(isErrorCode("toString")).toBe(false);
  });
});

describe("names", () => {
  it("accepts 1 to 249 plain characters", () => {
    for (const name of ["a", "orders.v1", "A_b-3", "x".repeat(249)]) expect(checkName("topic", name)).toBe(name);
  });

  it.each(["", ".", "..", "x".repeat(250), "a b", "{a}", "a*", "a/b", "a:b", "é", "a\n", "__proto__ "])(
    "refuses %j and names field and limit",
    (name) => {
      expect(() => checkName("topic", name)).toThrowError(
        expect.objectContaining({ code: "invalid_name", field: "topic", limit: expect.stringContaining("249") }),
      );
    },
  );
});
