/** Browsers' protocols on the broker's one port, byte by byte: Connect with JSON, and gRPC-web. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { framed } from "./harness/frames.js";
import { type Standalone, startStandalone } from "./harness/standalone.js";
import { base64, name } from "./harness/values.js";

let gmq: Standalone;

beforeAll(async () => {
  gmq = await startStandalone();
}, 60_000);

afterAll(async () => {
  expect(await gmq.stop()).toBe(0);
});

function post(
  method: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(`${gmq.url}/gmq.v1.BrokerService/${method}`, {
    method: "POST",
    headers,
    body,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Reads framed messages of a body until `enough`. */
async function readFrames(
  response: Response,
  enough: (frames: { flag: number; bytes: Buffer }[]) => boolean,
): Promise<{ flag: number; bytes: Buffer }[]> {
  const frames: { flag: number; bytes: Buffer }[] = [];
  let rest = Buffer.alloc(0);
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      frames.push({ flag: rest[0] as number, bytes: rest.subarray(5, end) });
      rest = rest.subarray(end);
    }
    if (enough(frames)) break;
  }
  return frames;
}

describe("Connect with JSON", () => {
  it("publishes, and tells errors with code and details", async () => {
    const topic = name();
    const json = { "content-type": "application/json" };
    const stored = await post("Publish", JSON.stringify({ topic, key: "k", value: base64("one") }), json);
    expect(stored.status).toBe(200);
    expect(await stored.json()).toMatchObject({ topic, offset: "0" });
    const refused = await post("Publish", JSON.stringify({ topic: "a{b}", value: "" }), json);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      code: "invalid_argument",
      details: [{ type: "gmq.v1.Error", debug: { code: "invalid_name", field: "topic" } }],
    });
    expect((await post("Publish", "{no json", json)).status).toBe(400);
    expect((await post("Publish", JSON.stringify({ topic, value: "not base64!" }), json)).status).toBe(400);
    expect((await post("Publish", JSON.stringify({ topic, value: base64("x".repeat(9 << 20)) }), json)).status).toBe(
      429,
    );
    expect((await post("Publish", "x", { "content-type": "text/plain" })).status).toBe(415);
  });

  it("streams records, and stops when the reader goes", async () => {
    const topic = name();
    const json = { "content-type": "application/json" };
    for (const value of ["a", "b"])
      await post("Publish", JSON.stringify({ topic, partition: 0, value: base64(value) }), json);
    const stop = new AbortController();
    const request = Buffer.from(JSON.stringify({ group: `${topic}-g`, topics: [topic], autoAck: true }));
    const response = await post(
      "Consume",
      framed(request),
      { "content-type": "application/connect+json" },
      stop.signal,
    );
    expect(response.headers.get("content-type")).toBe("application/connect+json");
    const frames = await readFrames(response, (all) => all.length >= 3);
    const events = frames.map(({ bytes }) => JSON.parse(bytes.toString()) as { record?: { value: string } });
    expect(events[0]).toHaveProperty("started.sessionId");
    expect(events.slice(1).map(({ record }) => record?.value)).toEqual([base64("a"), base64("b")]);
    stop.abort();
    // Its member leaves: the group stays, without members.
    const members = async () => {
      const url = `${gmq.url}/gmq.v1.AdminService/ListGroups`;
      const answer = await fetch(url, { method: "POST", headers: json, body: "{}" });
      const { groups = [] } = (await answer.json()) as { groups?: { group: string; members?: unknown[] }[] };
      return groups.filter(({ group }) => group === `${topic}-g`).map((group) => group.members ?? []);
    };
    await expect.poll(members).toEqual([[]]);
  });
});

describe("gRPC-web", () => {
  it("publishes with binary messages; the status comes in a trailer frame", async () => {
    const topic = name();
    // PublishRequest { topic = 1, value = 3 }
    const message = Buffer.concat([
      Buffer.from([0x0a, topic.length]),
      Buffer.from(topic),
      Buffer.from([0x1a, 1]),
      Buffer.from("x"),
    ]);
    const response = await post("Publish", framed(message), {
      "content-type": "application/grpc-web+proto",
      "x-grpc-web": "1",
    });
    expect(response.status).toBe(200);
    const frames = await readFrames(response, () => false);
    expect(frames.map(({ flag }) => flag)).toEqual([0, 0x80]);
    expect(frames[0]?.bytes.toString("latin1")).toContain(topic);
    expect(frames[1]?.bytes.toString()).toMatch(/grpc-status: ?0/);
  });

  it("tells an error with its details", async () => {
    const response = await post("Publish", framed(new Uint8Array(0)), {
      "content-type": "application/grpc-web+proto",
      "x-grpc-web": "1",
    });
    const frames = await readFrames(response, () => false);
    const trailer = frames.at(-1)?.bytes.toString() ?? "";
    const told = `${trailer}\n${[...response.headers].map(([key, value]) => `${key}: ${value}`).join("\n")}`;
    expect(told).toMatch(/grpc-status: ?3/);
    expect(told).toContain("grpc-status-details-bin");
  });
});
