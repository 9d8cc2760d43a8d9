import { expect, it, vi } from "vitest";
import { GmqError } from "../src/index.js";

it("knows errors of another copy of the package", async () => {
  vi.resetModules();
  const copy = (await import("../src/index.js")).GmqError;
  expect(copy).not.toBe(GmqError);
  const foreign = new copy("fenced", "from elsewhere");
  expect(foreign instanceof GmqError).toBe(false);
  expect(GmqError.is(foreign)).toBe(true);
  expect(GmqError.is(foreign, "fenced")).toBe(true);
  expect(GmqError.is(foreign, "closed")).toBe(false);
  expect(GmqError.is({ code: "fenced" })).toBe(false);
  expect(GmqError.from(foreign)).toBe(foreign);
});
