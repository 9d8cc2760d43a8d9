import { afterEach, expect, it, vi } from "vitest";
import { readJsonStream } from "./json-stream.js";

afterEach(() => vi.unstubAllGlobals());

/** Answers the next call with these bytes, in so many pieces. */
function answerWith(bytes: Uint8Array, pieces: number): void {
  const size = Math.ceil(bytes.length / pieces);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body as BodyInit)));
}

function message(flags: number, content: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(content));
  const bytes = new Uint8Array(5 + text.length);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, text.length);
  bytes.set(text, 5);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

async function read(): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const one of readJsonStream("http://portal/", AbortSignal.timeout(5_000))) all.push(one);
  return all;
}

it.each([1, 2, 7, 1_000])("reads messages that come in %i pieces", async (pieces) => {
  const messages = [{ a: 1 }, { text: "ä".repeat(300) }, {}];
  answerWith(joined([...messages.map((content) => message(0, content)), message(2, {})]), pieces);
  expect(await read()).toEqual(messages);
});

it("throws what the last message says, and that a stream was cut", async () => {
  answerWith(message(2, { error: { code: "unavailable", message: "going away" } }), 1);
  await expect(read()).rejects.toThrow("going away");
  answerWith(message(0, {}), 1);
  await expect(read()).rejects.toThrow("cut");
});
