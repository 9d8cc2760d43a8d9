/** `@gmq/client/web` in a real browser, from a page of another origin: bundled as an app would be, allowed by the broker, refused when it is not. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startStandalone, type Topology } from "./harness/topologies.js";
import { root } from "./harness/workspace.js";

/** What the page calls; the same words as in an app. */
const program = `
import { connect, GmqError, topic } from "@gmq/client/web";
globalThis.talk = async (broker, name) => {
  const gmq = connect({ broker });
  const chat = topic(name);
  const heard = [];
  const subscription = gmq.subscribe(chat, { group: name + "-page", concurrency: 4 }, ({ key, value, headers }) => {
    heard.push([key, new TextDecoder().decode(value), headers.from]);
  });
  for (const word of ["one", "two", "three"]) await gmq.send(chat, { key: "room", value: word, headers: { from: "page" } });
  while (heard.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  await subscription.drain();
  await gmq.close();
  return heard;
};
globalThis.tryTo = async (broker, name) => {
  try {
    await connect({ broker }).send(name, { value: "x" });
    return "stored";
  } catch (error) {
    return GmqError.is(error) ? error.code + ": " + error.message : String(error);
  }
};
`;

declare global {
  function talk(broker: string, name: string): Promise<string[][]>;
  function tryTo(broker: string, name: string): Promise<string>;
}

let topology: Topology;
let gmq: Gmq;
let server: Server;
let browser: Browser;
let page: Page;
let bundleBytes = 0;

beforeAll(async () => {
  // Fails when anything in it needs Node.
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: join(root, "tests/e2e") },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  const script = outputFiles[0]?.text ?? "";
  bundleBytes = script.length;
  server = createServer((request, response) => {
    const isScript = request.url === "/app.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><title>app</title><script type="module" src="/app.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  topology = await startStandalone({ args: ["--memory", "--allowed-origins", origin] });
  gmq = await connect({ brokers: topology.brokers });
  browser = await chromium.launch({
    executablePath: process.env["GMQ_TEST_CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  page = await browser.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => "talk" in globalThis);
}, 120_000);

afterAll(async () => {
  await browser.close();
  server.closeAllConnections();
  server.close();
  await gmq.close();
  await topology.stop();
});

it("publishes and subscribes from a page of another origin", async () => {
  const heard = await page.evaluate(([url, name]) => talk(url ?? "", name ?? ""), [topology.brokers[0], "chat"]);
  expect(heard).toEqual([
    ["room", "one", "page"],
    ["room", "two", "page"],
    ["room", "three", "page"],
  ]);
  // What the page acked is acked, and it has left.
  const { partitions, members } = await gmq.admin.describeGroup("chat-page");
  expect(partitions.every(({ lag }) => lag === 0n)).toBe(true);
  await expect.poll(async () => (await gmq.admin.describeGroup("chat-page")).members).toEqual([]);
  expect(members.length).toBeLessThanOrEqual(1);
});

it("tells the broker's errors by code", async () => {
  const told = await page.evaluate(([url]) => tryTo(url ?? "", "a{b}"), [topology.brokers[0]]);
  expect(told).toMatch(/^invalid_name: /);
});

it("says what is wrong when the broker does not allow the page", async () => {
  const strict = await startStandalone({ args: ["--memory"] });
  try {
    const told = await page.evaluate(([url]) => tryTo(url ?? "", "chat"), [strict.brokers[0]]);
    expect(told).toMatch(/^unavailable: .*allowed origins/);
  } finally {
    await strict.stop();
  }
});

it("stays small", () => {
  expect(bundleBytes).toBeGreaterThan(10_000);
  expect(bundleBytes).toBeLessThan(250_000);
});
