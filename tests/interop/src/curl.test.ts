/** Plain curl against a real standalone: JSON over HTTP/1.1 and HTTP/2, streams as Connect frames them. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { framed } from "./harness/frames.js";
import { type Ran, run } from "./harness/run.js";
import { root, type Standalone, startStandalone } from "./harness/standalone.js";
import { base64, name } from "./harness/values.js";

const isThere = spawnSync("curl", ["--version"]).error === undefined;

describe.skipIf(!isThere).each(["--http1.1", "--http2-prior-knowledge"])("curl %s", (http) => {
  let gmq: Standalone;

  beforeAll(async () => {
    gmq = await startStandalone();
  }, 60_000);

  afterAll(async () => {
    expect(await gmq.stop()).toBe(0);
  });

  function curl(args: readonly string[], input = "", enough?: (stdout: string) => boolean): Promise<Ran> {
    const options = enough === undefined ? { input } : { input, enough };
    return run("curl", ["-sS", "--no-buffer", "--max-time", "30", http, ...args], options);
  }

  /** A unary call; prints the body, a line, and the HTTP status. */
  async function call(method: string, request: object) {
    const json = ["-H", "content-type: application/json", "--data-binary", "@-", "-w", "\n%{http_code}"];
    const ran = await curl([...json, `${gmq.url}/gmq.v1.BrokerService/${method}`], JSON.stringify(request));
    expect(ran).toMatchObject({ code: 0 });
    const [body = "", status] = ran.stdout.split(/\n(?=\d+$)/);
    return { status: Number(status), body: JSON.parse(body) as Record<string, unknown> };
  }

  async function consume(request: object, more: readonly string[], enough?: (stdout: string) => boolean) {
    const stream = ["-H", "content-type: application/connect+json", ...more, "--data-binary", "@-"];
    const body = framed(Buffer.from(JSON.stringify(request))).toString("latin1");
    const { stdout } = await curl([...stream, `${gmq.url}/gmq.v1.BrokerService/Consume`], body, enough);
    return stdout;
  }

  it("publishes by the command that the README shows", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const command = /^curl [^\n]*\\\n[^\n]*$/m.exec(readme)?.[0];
    if (command === undefined) throw new Error("the README shows no curl command");
    const topic = name();
    const ours = command.replace("http://localhost:50051", gmq.url).replace('"topic":"orders"', `"topic":"${topic}"`);
    expect(ours).toContain(gmq.url);
    const { stdout } = await run("sh", ["-c", ours.replace(/^curl/, `curl -sS --max-time 10 ${http}`)]);
    expect(JSON.parse(stdout)).toMatchObject({ topic, offset: "0" });
  });

  it("subscribes and settles; who comes after a cancel gets what was not settled", async () => {
    const topic = name();
    for (const value of ["a", "b"]) await call("Publish", { topic, partition: 0, value: base64(value) });
    let settled: Promise<unknown> | undefined;
    const request = { group: `${topic}-g`, topics: [topic], maxInFlight: 1 };
    await consume(request, [], (stdout) => {
      const sessionId = /"sessionId":"([^"]+)"/.exec(stdout)?.[1];
      const assignmentId = /"assignmentId":(\d+)/.exec(stdout)?.[1];
      if (settled === undefined && sessionId !== undefined && assignmentId !== undefined) {
        const ranges = [{ firstOffset: "0", lastOffset: "0", verb: "VERB_ACK" }];
        settled = call("Settle", { sessionId, assignmentId: Number(assignmentId), ranges });
      }
      // One in flight: the second comes because the first was settled.
      return stdout.includes(base64("b"));
    });
    expect(await settled).toEqual({ status: 200, body: { refusals: [] } });
    const rest = await consume({ ...request, autoAck: true }, [], (stdout) => stdout.includes('"value"'));
    expect(rest.match(/"value":"[^"]*"/g)).toEqual([`"value":"${base64("b")}"`]);
  });

  it("hears errors with HTTP status, code and details", async () => {
    expect(await call("Publish", { topic: "no{braces}", value: "" })).toMatchObject({
      status: 400,
      body: {
        code: "invalid_argument",
        details: [{ type: "gmq.v1.Error", debug: { code: "invalid_name", field: "topic" } }],
      },
    });
  });

  it("has deadlines", async () => {
    const stdout = await consume({ group: "g", topics: [name()] }, ["-H", "connect-timeout-ms: 500"]);
    expect(stdout).toMatch(/"error":\{"code":"deadline_exceeded"/);
  });

  it("is refused what is too large", async () => {
    const topic = name();
    expect(await call("Publish", { topic, value: base64("x".repeat(3 << 20)) })).toMatchObject({
      status: 400,
      body: { code: "invalid_argument", details: [{ debug: { code: "record_too_large" } }] },
    });
    expect(await call("Publish", { topic, value: base64("x".repeat(20 << 20)) })).toMatchObject({
      status: 429,
      body: { code: "resource_exhausted" },
    });
    expect(await call("Publish", { topic, partition: 0, value: base64("small") })).toMatchObject({ status: 200 });
  });

  it("reads health", async () => {
    const { stdout } = await curl([`${gmq.url}/readyz`]);
    expect(JSON.parse(stdout)).toEqual({ status: "ok" });
  });
});
