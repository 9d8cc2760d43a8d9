import { describe, expect, it } from "vitest";
import { collectBrokers, collectHeaders, parseFrom, wholeNumber } from "./arguments.js";

describe("arguments", () => {
  it("reads where a group begins", () => {
    expect(parseFrom("latest")).toBe("latest");
    expect(parseFrom("1200")).toEqual({ offset: 1200n });
    expect(parseFrom("2026-11-24T08:00:00Z")).toEqual({ timestamp: new Date("2026-11-24T08:00:00Z") });
    for (const wrong of ["", "-1", "yesterday", "2026-13-01"]) expect(() => parseFrom(wrong)).toThrow(/expected/);
  });

  it("reads brokers one by one and joined with commas", () => {
    expect(collectBrokers("http://b:1, https://c", collectBrokers("http://a:1/", undefined))).toEqual([
      "http://a:1",
      "http://b:1",
      "https://c",
    ]);
    for (const wrong of ["localhost:50051", "ftp://a", ""])
      expect(() => collectBrokers(wrong, undefined)).toThrow(/URL/);
  });

  it("reads headers with an equals sign in the value", () => {
    expect(collectHeaders("b=x=y", { a: "1" })).toEqual({ a: "1", b: "x=y" });
    expect(() => collectHeaders("=x", {})).toThrow(/name=value/);
  });

  it("refuses numbers out of range", () => {
    expect(wholeNumber(0, 9)("9")).toBe(9);
    for (const wrong of ["10", "1.5", "x", ""]) expect(() => wholeNumber(0, 9)(wrong)).toThrow(/from 0 to 9/);
  });
});
