import { GmqError } from "@gmq/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createLogger, type LoggerOptions } from "./create-logger.js";
import { silentLogger } from "./logger.js";

interface Line {
  readonly time: string;
  readonly error: { readonly stack: string };
}

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    name: "test",
    level: "debug",
    destination: { write: (l) => lines.push(l) },
    ...options,
  });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? "null") as Line };
}

afterEach(() => vi.unstubAllEnvs());

describe("createLogger", () => {
  it("writes one JSON object a line", () => {
    const { logger, last, lines } = capture();
    logger.info("listening", { port: 50051, offset: 12n });
    expect(last()).toMatchObject({ level: "info", name: "test", msg: "listening", port: 50051, offset: "12" });
    expect(Date.parse(last().time)).not.toBeNaN();
    expect(lines[0]?.endsWith("\n")).toBe(true);
  });

  it("takes its level from the option, else from GMQ_LOG_LEVEL, else info", () => {
    vi.stubEnv("GMQ_LOG_LEVEL", "error");
    const fromEnv = capture({ level: undefined });
    fromEnv.logger.warn("no");
    fromEnv.logger.error("yes");
    expect(fromEnv.lines).toHaveLength(1);
    const fromOption = capture({ level: "warn" });
    fromOption.logger.warn("yes");
    expect(fromOption.lines).toHaveLength(1);
    vi.stubEnv("GMQ_LOG_LEVEL", undefined);
    const byDefault = capture({ level: undefined });
    byDefault.logger.debug("no");
    byDefault.logger.info("yes");
    expect(byDefault.lines).toHaveLength(1);
  });

  it("refuses an unknown level by name", () => {
    vi.stubEnv("GMQ_LOG_LEVEL", "loud");
    expect(() => capture({ level: undefined })).toThrow(/"loud"/);
  });

  it("gives children their fields", () => {
    const { logger, last } = capture();
    logger.child({ session: "s1" }).child({ token: "abc" }).info("hello", { n: 1 });
    expect(last()).toMatchObject({ session: "s1", n: 1, token: "[redacted]" });
  });

  it("writes errors with cause and GmqError fields", () => {
    const { logger, last } = capture();
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 6379 });
    logger.error("failed", { error: new GmqError("store_unavailable", "no store", { field: "redis", cause }) });
    expect(last().error).toMatchObject({
      name: "GmqError",
      message: "no store",
      code: "store_unavailable",
      retryable: true,
      field: "redis",
      cause: { message: "connect ECONNREFUSED", code: "ECONNREFUSED", port: 6379 },
    });
    expect(last().error.stack).toContain("create-logger.test");
  });

  it("writes lines for people when asked", () => {
    const { logger, lines } = capture({ pretty: true });
    logger.warn("slow", { ms: 12 });
    expect(lines.join("")).toMatch(/WARN.*\(test\): slow\n\s+ms: 12/);
  });

  it("has a silent twin", () => {
    expect(silentLogger.child({ a: 1 })).toBe(silentLogger);
    expect(() => silentLogger.error("x")).not.toThrow();
  });
});
