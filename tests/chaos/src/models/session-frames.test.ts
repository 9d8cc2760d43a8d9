/** Every frame in every state of a session, with good and with bad content: one typed answer to each request, no defect, and the session's state as it was. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createBroker } from "@gmq/broker";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import { errorTable, type GmqError } from "@gmq/protocol";
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "@gmq/protocol/messages";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { anybody, type FrameHandlers } from "@gmq/transport";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

type Frame = NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>;
type Broker = ReturnType<typeof createBroker>;

/** The client's end of a session, without a network. */
interface Client {
  send(frame: Frame | undefined, correlationId?: number): void;
  readonly received: readonly SessionResponse[];
  readonly ended: { readonly error: GmqError | undefined } | undefined;
  leave(): void;
}

let engine: Engine;
let broker: Broker;
const clients: Client[] = [];

beforeEach(async () => {
  engine = await createEmbeddedEngine({ memory: true });
  broker = createBroker({ engine, defaultPartitions: 2, revokeTimeoutMs: 50 });
  await engine.topics.create("t", { partitions: 2 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.leave();
  await broker.close();
  await engine.close();
});

function dial(): Client {
  const received: SessionResponse[] = [];
  let handlers: FrameHandlers<SessionRequest> | undefined;
  let ended: Client["ended"];
  broker.acceptSession(
    {
      start: (given) => {
        handlers = given;
      },
      send: (frame) => received.push(create(SessionResponseSchema, frame)) > 0,
      pause: () => undefined,
      resume: () => undefined,
      close: (error) => {
        ended ??= { error };
      },
      get closed() {
        return ended !== undefined;
      },
    },
    { address: "test", caller: anybody, header: () => undefined },
  );
  const client: Client = {
    send: (frame, correlationId = 0) =>
      handlers?.frame(create(SessionRequestSchema, frame === undefined ? { correlationId } : { correlationId, frame })),
    received,
    get ended() {
      return ended;
    },
    leave: () => handlers?.end(undefined),
  };
  clients.push(client);
  return client;
}

const hello: Frame = { case: "hello", value: { protocolVersion: 1, clientId: "c", clientVersion: "1" } };
const subscribe: Frame = {
  case: "subscribe",
  value: { subscriptionId: 1, group: "g", topics: ["t"], memberId: "m", sessionTimeoutMs: 10_000 },
};

/** How a session gets into each state. */
const states: Readonly<Record<string, (client: Client) => Promise<void>>> = {
  "before hello": () => Promise.resolve(),
  open: async (client) => {
    client.send(hello, 1);
    await waitUntil("a welcome", () => client.received.some(({ frame }) => frame.case === "welcome"));
  },
  subscribed: async (client) => {
    await states["open"]?.(client);
    client.send(subscribe, 2);
    await waitUntil("a subscription", () => client.received.some(({ frame }) => frame.case === "subscribed"));
    await waitUntil("assignments", () => client.received.filter(({ frame }) => frame.case === "assigned").length === 2);
  },
  draining: async (client) => {
    await states["subscribed"]?.(client);
    void broker.drain(5_000);
    await waitUntil("the drain", () => client.received.some(({ frame }) => frame.case === "drain"));
  },
  ended: async (client) => {
    await states["open"]?.(client);
    client.leave();
    await waitUntil("the end", () => client.ended !== undefined);
  },
};

const range = { firstOffset: 0n, lastOffset: 0n, verb: 1 };
/** Frames by name, the good and the bad. */
const frames: Readonly<Record<string, Frame | undefined>> = {
  empty: undefined,
  hello,
  "hello of another version": { case: "hello", value: { protocolVersion: 99 } },
  heartbeat: { case: "heartbeat", value: {} },
  "resolve topic": { case: "resolveTopic", value: { topic: "t" } },
  "resolve a bad name": { case: "resolveTopic", value: { topic: "a/../{b}*" } },
  "publish nothing": { case: "publish", value: { topic: "t", batches: [] } },
  "publish without a batch": { case: "publish", value: { topic: "t", batches: [{ partition: 0 }] } },
  "publish a corrupt batch": {
    case: "publish",
    value: {
      topic: "t",
      batches: [{ partition: 0, batch: { recordCount: 3, codec: 1, crc32: 1, records: new Uint8Array(9) } }],
    },
  },
  "publish to a missing partition": {
    case: "publish",
    value: {
      topic: "t",
      batches: [{ partition: 4_000_000, batch: { recordCount: 1, codec: 1, records: new Uint8Array(1) } }],
    },
  },
  subscribe,
  "subscribe without a number": { case: "subscribe", value: { group: "g", topics: ["t"] } },
  "subscribe to nothing": { case: "subscribe", value: { subscriptionId: 9, group: "g", topics: [] } },
  "subscribe with a bad group": { case: "subscribe", value: { subscriptionId: 9, group: "*", topics: ["t"] } },
  "subscribe for an hour": {
    case: "subscribe",
    value: { subscriptionId: 9, group: "g", topics: ["t"], sessionTimeoutMs: 3_600_000 },
  },
  unsubscribe: { case: "unsubscribe", value: { subscriptionId: 77 } },
  credit: { case: "credit", value: { subscriptionId: 1, records: 10, bytes: 1_000 } },
  "credit of nobody": { case: "credit", value: { subscriptionId: 5, records: 1, bytes: 1 } },
  "credit without end": { case: "credit", value: { subscriptionId: 1, records: 4_294_967_295, bytes: 4_294_967_295 } },
  "settle what was not delivered": {
    case: "settlement",
    value: { assignmentId: 1, ranges: [{ ...range, firstOffset: 1n << 60n, lastOffset: 1n << 61n }] },
  },
  "settle backwards": { case: "settlement", value: { assignmentId: 1, ranges: [{ ...range, firstOffset: 9n }] } },
  "settle nothing": { case: "settlement", value: { assignmentId: 1, ranges: [] } },
  "settle another's": { case: "settlement", value: { assignmentId: 999, ranges: [range] } },
  "settle with no verb": { case: "settlement", value: { assignmentId: 1, ranges: [{ ...range, verb: 0 }] } },
  "settle with an unknown verb": {
    case: "settlement",
    value: { assignmentId: 1, ranges: [{ ...range, verb: 77 as never }] },
  },
  release: { case: "release", value: { subscriptionId: 1, assignmentIds: [999] } },
  "release of nobody": { case: "release", value: { subscriptionId: 44, assignmentIds: [1] } },
};
/** Frames that have no answer when they are right. */
const unanswered: ReadonlySet<string> = new Set(["heartbeat", "credit", "credit of nobody", "credit without end"]);

function codes(responses: readonly SessionResponse[]): string[] {
  return responses.flatMap(({ frame }) => (frame.case === "error" ? [frame.value.code] : []));
}

describe.each(Object.keys(states))("a session %s", (state) => {
  test.each(Object.keys(frames))("gets: %s", async (name) => {
    const client = dial();
    await states[state]?.(client);
    const before = client.received.length;
    client.send(frames[name], 1_000);
    const answers = (): SessionResponse[] =>
      client.received.slice(before).filter(({ correlationId }) => correlationId === 1_000);
    if (state === "ended") {
      await new Promise(setImmediate);
      expect(answers()).toEqual([]);
      return;
    }
    if (state === "before hello" && name !== "hello") {
      // Nothing but a right hello opens a session: it ends with a typed error.
      expect(client.ended?.error?.code).toMatch(/^(protocol_violation|unsupported_version|malformed_frame)$/);
      return;
    }
    if (!unanswered.has(name)) await waitUntil("an answer", () => answers().length > 0);
    else await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answers().length).toBeLessThanOrEqual(1);
    for (const code of codes(client.received)) {
      expect(Object.keys(errorTable)).toContain(code);
      expect(code).not.toBe("internal");
    }
    // The session goes on, and its neighbours never noticed.
    expect(client.ended).toBeUndefined();
    client.send({ case: "resolveTopic", value: { topic: "t" } }, 1_001);
    await waitUntil("the session to go on", () =>
      client.received.some(({ correlationId, frame }) => correlationId === 1_001 && frame.case === "resolvedTopic"),
    );
  });
});

test("any frames in any order: each request has one answer, and none is a defect", async () => {
  const names = Object.keys(frames);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 40 }), async (order) => {
      const client = dial();
      client.send(hello, 1);
      order.forEach((name, at) => client.send(frames[name], 10 + at));
      const asked = order.flatMap((name, at) => (unanswered.has(name) ? [] : [10 + at]));
      const answered = (): number[] =>
        client.received.map(({ correlationId }) => correlationId).filter((id) => id >= 10);
      await waitUntil("every answer", () => asked.every((id) => answered().includes(id)));
      expect(answered().length).toBe(new Set(answered()).size);
      expect(codes(client.received)).not.toContain("internal");
      client.leave();
      await waitUntil("the end", () => client.ended !== undefined);
    }),
    { numRuns: 150 },
  );
  await waitUntil("every session to be gone", () => broker.sessionCount === 0);
}, 60_000);
