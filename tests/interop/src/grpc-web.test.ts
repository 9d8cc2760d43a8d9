/** gRPC-web from a page in a real browser, of another origin than the broker, with a library that is not ours. */
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Cases } from "./harness/browser-program.js";
import { type Standalone, startStandalone } from "./harness/standalone.js";

let gmq: Standalone;
let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "harness/browser-program.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  server = createServer((request, response) => {
    const isScript = request.url === "/app.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? outputFiles[0]?.text : '<!doctype html><script type="module" src="/app.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  gmq = await startStandalone(["--allowed-origins", origin]);
  browser = await chromium.launch({
    executablePath: process.env["GMQ_TEST_CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  page = await browser.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => "gmqCases" in globalThis);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  server?.close();
  expect(await gmq?.stop()).toBe(0);
});

function inPage(name: keyof Cases, topic = `t-${randomUUID().slice(0, 8)}`): Promise<unknown> {
  return page.evaluate(([which, broker, about]): Promise<unknown> => globalThis.gmqCases[which](broker, about), [
    name,
    gmq.url,
    topic,
  ] as [keyof Cases, string, string]);
}

it("publishes, and hears where", async () => {
  expect(await inPage("publish", "from-a-page")).toEqual({ topic: "from-a-page", offsets: ["0", "1"] });
});

it("speaks gRPC-web for it", async () => {
  const asked = page.waitForRequest((request) => request.method() === "POST");
  await inPage("publish");
  expect((await asked).headers()["content-type"]).toBe("application/grpc-web+proto");
});

it("subscribes and settles; who comes after a cancel gets what was not settled", async () => {
  expect(await inPage("subscribe")).toEqual({
    seen: [
      ["a", 0],
      ["b", 0],
    ],
    rest: ["b"],
  });
});

it("hears errors with status and typed details", async () => {
  expect(await inPage("error")).toEqual({ code: "InvalidArgument", typed: "invalid_name" });
});

it("has deadlines", async () => {
  expect(await inPage("deadline")).toMatchObject({ code: "DeadlineExceeded" });
});

it("is refused what is too large, and goes on", async () => {
  expect(await inPage("oversized")).toEqual({
    record: { code: "InvalidArgument", typed: "record_too_large" },
    message: { code: "ResourceExhausted", typed: undefined },
    after: "0",
  });
});
