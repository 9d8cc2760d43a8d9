/** What the page of grpc-web.test.ts runs: connect-web's gRPC-web transport and the generated messages, none of our client. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BrokerService, ErrorSchema, Verb } from "@gmq/protocol/messages";

/** How a call ended that should not have gone well. */
export interface Refusal {
  readonly code: string;
  readonly typed: string | undefined;
}

/** The cases, as the test calls them. */
export interface Cases {
  publish(broker: string, topic: string): Promise<{ topic: string; offsets: string[] }>;
  subscribe(broker: string, topic: string): Promise<{ seen: [string, number][]; rest: string[] }>;
  error(broker: string): Promise<Refusal>;
  deadline(broker: string, topic: string): Promise<Refusal>;
  oversized(broker: string, topic: string): Promise<{ record: Refusal; message: Refusal; after: string }>;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

function clientOf(broker: string) {
  return createClient(BrokerService, createGrpcWebTransport({ baseUrl: broker }));
}

async function refusal(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
    return { code: "ok", typed: undefined };
  } catch (error) {
    const cause = ConnectError.from(error);
    return { code: Code[cause.code], typed: cause.findDetails(ErrorSchema)[0]?.code };
  }
}

const cases: Cases = {
  async publish(broker, topic) {
    const client = clientOf(broker);
    const stored = [];
    for (const value of ["one", "two"]) stored.push(await client.publish({ topic, partition: 0, value: bytes(value) }));
    return { topic: stored[0]?.topic ?? "", offsets: stored.map(({ offset }) => String(offset)) };
  },

  /** Acks the first of two, cancels, and looks what the next one is given. */
  async subscribe(broker, topic) {
    const client = clientOf(broker);
    for (const value of ["a", "b"]) await client.publish({ topic, partition: 0, value: bytes(value) });
    const group = `${topic}-g`;
    const stop = new AbortController();
    const seen: [string, number][] = [];
    let sessionId = "";
    try {
      for await (const { event } of client.consume(
        { group, topics: [topic], maxInFlight: 1 },
        { signal: stop.signal },
      )) {
        if (event.case === "started") sessionId = event.value.sessionId;
        if (event.case !== "record") continue;
        const { value, attempts, offset, assignmentId } = event.value;
        seen.push([text(value), attempts]);
        const ranges = [{ firstOffset: offset, lastOffset: offset, verb: Verb.ACK }];
        if (seen.length === 1) await client.settle({ sessionId, assignmentId, ranges });
        else stop.abort();
      }
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Canceled) throw error;
    }
    const rest: string[] = [];
    const next = new AbortController();
    try {
      const request = { group, topics: [topic], autoAck: true };
      for await (const { event } of client.consume(request, { signal: next.signal })) {
        if (event.case !== "record") continue;
        rest.push(text(event.value.value));
        next.abort();
      }
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Canceled) throw error;
    }
    return { seen, rest };
  },

  error: (broker) => refusal(clientOf(broker).publish({ topic: "no{braces}", value: bytes("x") })),

  deadline(broker, topic) {
    const read = async (): Promise<void> => {
      const stream = clientOf(broker).consume({ group: `${topic}-g`, topics: [topic] }, { timeoutMs: 500 });
      for await (const event of stream) if (event.event.case === "record") return;
    };
    return refusal(read());
  },

  async oversized(broker, topic) {
    const client = clientOf(broker);
    const record = await refusal(client.publish({ topic, value: new Uint8Array(3 << 20) }));
    const message = await refusal(client.publish({ topic, value: new Uint8Array(20 << 20) }));
    const after = await client.publish({ topic, partition: 0, value: bytes("small") });
    return { record, message, after: String(after.offset) };
  },
};

declare global {
  var gmqCases: Cases;
}
globalThis.gmqCases = cases;
