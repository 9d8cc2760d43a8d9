/** A TCP proxy that a test can make misbehave: cut, hold (half-open), one-way, slow, deaf to pub/sub. */
import { connect, createServer, type Socket } from "node:net";

/** What happens to bytes. `hold*` stops them where they are: `pass` lets them go on, late, in order. */
export type Traffic =
  | { readonly mode: "pass" }
  | { readonly mode: "hold" | "hold requests" | "hold answers" }
  | { readonly mode: "slow"; readonly delayMs: number }
  /** Connections that subscribed to a pattern hear nothing: what is published is lost without a trace. */
  | { readonly mode: "deaf" };

export interface TcpProxy {
  readonly name: string;
  readonly port: number;
  /** For connections that are there, and those that come. */
  set(traffic: Traffic): void;
  /** Resets every connection. */
  cut(): void;
  /** Refuses new connections (and cuts those that are there) until `open`. */
  shut(): void;
  open(): void;
  /** Leaves the connections that are there silent for ever; new ones work. */
  forget(): void;
  /** Cuts each connection as soon as so many more bytes of answers have passed, in the middle of whatever they are. */
  cutAfterAnswerBytes(bytes: number): void;
  /** Sends new connections elsewhere. */
  redirect(port: number): void;
  readonly connections: number;
  close(): Promise<void>;
}

/** One direction of a connection. */
interface Lane {
  readonly from: Socket;
  readonly to: Socket;
  readonly isAnswer: boolean;
  isHeld: boolean;
  delayMs: number;
  waiting: { readonly bytes: Buffer; readonly dueMs: number }[];
  timer: NodeJS.Timeout | undefined;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly lanes: readonly [requests: Lane, answers: Lane];
  hasSubscribed: boolean;
  answerBytesLeft: number;
  isForgotten: boolean;
}

/** Starts a proxy before a port of this machine. */
export async function startProxy(name: string, targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let target = targetPort;
  let traffic: Traffic = { mode: "pass" };
  let isShut = false;

  const proxy = createServer((client) => {
    if (isShut) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(target, "127.0.0.1");
    const lane = (from: Socket, to: Socket, isAnswer: boolean): Lane => ({
      from,
      to,
      isAnswer,
      isHeld: false,
      delayMs: 0,
      waiting: [],
      timer: undefined,
    });
    const pair: Pair = {
      client,
      server,
      lanes: [lane(client, server, false), lane(server, client, true)],
      hasSubscribed: false,
      answerBytesLeft: Number.POSITIVE_INFINITY,
      isForgotten: false,
    };
    pairs.add(pair);
    for (const own of pair.lanes) start(pair, own);
    apply(pair);
  });

  function start(pair: Pair, lane: Lane): void {
    lane.from.setNoDelay(true);
    lane.from.on("data", (bytes) => pass(pair, lane, bytes));
    lane.from.on("end", () => {
      if (!lane.isHeld) lane.to.end();
    });
    lane.from.on("drain", () => {
      const opposite = pair.lanes[lane.isAnswer ? 0 : 1];
      if (!opposite.isHeld) opposite.from.resume();
    });
    // A broken connection ends on both sides, but a held one does not tell the other side.
    lane.from.on("error", () => lane.from.destroy());
    lane.from.on("close", () => {
      clearTimeout(lane.timer);
      if (lane.isHeld && lane.to.readyState !== "closed") return;
      lane.to.destroy();
      pairs.delete(pair);
    });
  }

  function pass(pair: Pair, lane: Lane, bytes: Buffer): void {
    if (!lane.isAnswer && !pair.hasSubscribed && bytes.includes("psubscribe")) pair.hasSubscribed = true;
    if (lane.isAnswer && traffic.mode === "deaf" && pair.hasSubscribed) return;
    if (lane.isAnswer && bytes.length >= pair.answerBytesLeft) {
      lane.to.write(bytes.subarray(0, pair.answerBytesLeft), () => destroy(pair));
      return;
    }
    if (lane.isAnswer) pair.answerBytesLeft -= bytes.length;
    if (lane.isHeld || lane.delayMs > 0 || lane.waiting.length > 0) {
      lane.waiting.push({ bytes, dueMs: performance.now() + lane.delayMs });
      release(lane);
    } else if (!lane.to.write(bytes)) lane.from.pause();
  }

  /** Lets go what is due. */
  function release(lane: Lane): void {
    clearTimeout(lane.timer);
    if (lane.isHeld) return;
    for (let head = lane.waiting[0]; head !== undefined; head = lane.waiting[0]) {
      const inMs = head.dueMs - performance.now();
      if (inMs > 0) {
        lane.timer = setTimeout(() => release(lane), inMs);
        return;
      }
      lane.waiting.shift();
      lane.to.write(head.bytes);
    }
    lane.from.resume();
  }

  function apply(pair: Pair): void {
    for (const lane of pair.lanes) {
      const { mode } = traffic;
      lane.isHeld =
        pair.isForgotten || mode === "hold" || (lane.isAnswer ? mode === "hold answers" : mode === "hold requests");
      lane.delayMs = traffic.mode === "slow" ? traffic.delayMs : 0;
      if (lane.isHeld) lane.from.pause();
      else release(lane);
    }
  }

  function destroy({ client, server, lanes }: Pair): void {
    for (const lane of lanes) lane.isHeld = false;
    client.resetAndDestroy();
    server.resetAndDestroy();
  }

  const cutAll = (): void => {
    for (const pair of [...pairs]) if (!pair.isForgotten) destroy(pair);
  };

  await new Promise<void>((resolve, reject) => {
    proxy.once("error", reject);
    proxy.listen(0, "127.0.0.1", resolve);
  });
  const address = proxy.address();

  return {
    name,
    port: typeof address === "object" && address !== null ? address.port : 0,
    set(next) {
      traffic = next;
      for (const pair of pairs) apply(pair);
    },
    cut: cutAll,
    shut() {
      isShut = true;
      cutAll();
    },
    open() {
      isShut = false;
    },
    forget() {
      for (const pair of pairs) {
        pair.isForgotten = true;
        apply(pair);
      }
    },
    cutAfterAnswerBytes(bytes) {
      for (const pair of pairs) pair.answerBytesLeft = bytes;
    },
    redirect(port) {
      target = port;
    },
    get connections() {
      return pairs.size;
    },
    async close() {
      isShut = true;
      for (const pair of [...pairs]) destroy(pair);
      await new Promise<void>((resolve) => proxy.close(() => resolve()));
    },
  };
}
