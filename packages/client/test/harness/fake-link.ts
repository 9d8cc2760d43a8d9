/** A link without a broker: the test answers what is asked, or does not. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import { PublishedSchema, WelcomeSchema } from "@gmq/protocol/messages";
import type { BrokerFrame, ClientFrame, Link, LinkListener } from "../../src/link.js";

/** What was asked. */
export interface FakeRequest {
  readonly frame: ClientFrame;
  answer(frame: BrokerFrame): void;
  /** Answers a publish: everything is stored. */
  stored(): void;
}

export interface FakeLink {
  readonly link: Link;
  readonly requests: readonly FakeRequest[];
  /** All that went out in order, what has no answer too. */
  readonly frames: readonly ClientFrame[];
  /** How often somebody looked whether there is room to send. */
  readonly looks: number;
  /** Something that answers no request. */
  comes(frame: BrokerFrame): void;
  /** The session is lost, and another is open. */
  reconnects(): void;
}

/** Makes a link with an open session. */
export function createFakeLink(init: MessageInitShape<typeof WelcomeSchema> = {}): FakeLink {
  const { batchBytesMax, recordBytesMax } = limits;
  const welcomed = () => create(WelcomeSchema, { batchBytesMax, recordBytesMax, ...init });
  let welcome = welcomed();
  const listeners = new Set<LinkListener>();
  const requests: FakeRequest[] = [];
  const frames: ClientFrame[] = [];
  let looks = 0;
  return {
    requests,
    frames,
    get looks() {
      return looks;
    },
    comes(frame) {
      for (const listener of listeners) listener.frame(frame);
    },
    reconnects() {
      for (const listener of listeners) listener.lost(new GmqError("unavailable", "the session was lost"));
      welcome = welcomed();
      for (const listener of listeners) listener.opened(welcome);
    },
    link: {
      attach(listener) {
        listeners.add(listener);
        listener.opened(welcome);
        return () => void listeners.delete(listener);
      },
      request: (frame) =>
        new Promise((answer) => {
          frames.push(frame);
          requests.push({ frame, answer, stored: () => answer(published(frame)) });
        }),
      heartbeatEvery: () => () => undefined,
      send: (frame) => void frames.push(frame),
      get writable() {
        looks++;
        return true;
      },
      instrumentation: undefined,
      get welcome() {
        return welcome;
      },
      whenOpen: async () => welcome,
      calls() {
        throw new Error("there is no broker to call");
      },
      close: async () => undefined,
      closed: false,
    },
  };
}

function published(frame: ClientFrame): BrokerFrame {
  if (frame.case !== "publish") throw new Error(`a ${frame.case} is not answered with what was stored`);
  const results = (frame.value.batches ?? []).map(({ partition = 0 }) => ({ partition, firstOffset: 0n }));
  return { case: "published", value: create(PublishedSchema, { results }) };
}
