/**
 * A whole GMQ in this process: the real broker on the real embedded engine in memory, on a real socket. It needs @gmq/broker, @gmq/storage and @gmq/service as
 * development dependencies of whoever tests.
 */
import { createBroker } from "@gmq/broker";
import { GmqError } from "@gmq/protocol";
import { type Listener, listen } from "@gmq/service";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import type { CallOptions } from "../call-options.js";
import { checkTimeout } from "../checked-values.js";
import { type ConnectOptions, connect, type Gmq } from "../connect.js";
import { pause } from "../pause.js";

export interface TestGmqOptions {
  /** Partitions of topics that are made by use; default 4. */
  readonly partitions?: number;
  /** Origins of pages that may call, for tests in a browser. */
  readonly allowedOrigins?: readonly string[];
  /** Of the client that comes with it. */
  readonly client?: Omit<ConnectOptions, "brokers">;
}

/** A connected client, and the broker behind it. Closing it ends both. */
export interface TestGmq extends Gmq {
  /** Where the broker listens, for further clients. */
  readonly url: string;
  /**
   * Waits until the group has settled everything that is stored in its topics; default 10,000 ms.
   * @throws GmqError `deadline_exceeded` with what is left, `cancelled`
   */
  settled(group: string, options?: CallOptions): Promise<void>;
  /** Breaks every connection and starts the broker again on its port; what is stored stays, clients come back by themselves. */
  restartBroker(): Promise<void>;
}

const lookMs = 10;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };

/** Starts one. Several may run beside each other; each has a store of its own. */
export async function startTestGmq(options: TestGmqOptions = {}): Promise<TestGmq> {
  const { partitions = 4, allowedOrigins = [] } = options;
  const engine = await createEmbeddedEngine({ memory: true });

  async function startBroker(port: number): Promise<{ readonly listener: Listener; stop(): Promise<void> }> {
    const broker = createBroker({ engine, defaultPartitions: partitions });
    const { routes, frameHandlers } = broker;
    const listener = await listen({ host: "127.0.0.1", port, routes, frameHandlers, allowedOrigins, logger: silent });
    return {
      listener,
      async stop() {
        const closed = listener.close({ drainMs: 0 });
        await broker.close();
        await closed;
      },
    };
  }

  const { first, gmq } = await startAll();
  let running = first;
  const { url, port } = running.listener;
  let closing: Promise<void> | undefined;

  /** All of it, or nothing: what cannot be had leaves no port and no store behind. */
  async function startAll(): Promise<{ readonly first: Awaited<ReturnType<typeof startBroker>>; readonly gmq: Gmq }> {
    let first: Awaited<ReturnType<typeof startBroker>> | undefined;
    try {
      first = await startBroker(0);
      return { first, gmq: await connect({ ...options.client, brokers: [first.listener.url] }) };
    } catch (error) {
      await first?.stop();
      await engine.close();
      throw error;
    }
  }

  async function close(): Promise<void> {
    await gmq.close();
    await running.stop();
    await engine.close();
  }

  const test: TestGmq = {
    ...gmq,
    url,
    async settled(group, { timeoutMs = 10_000, signal } = {}) {
      checkTimeout(timeoutMs);
      const untilMs = performance.now() + timeoutMs;
      for (let left = "the broker does not answer"; ; ) {
        const leftMs = Math.max(1, untilMs - performance.now());
        left = await unsettled(gmq, group, { timeoutMs: leftMs, ...(signal && { signal }) }, left);
        if (left === "") return;
        if (signal?.aborted === true)
          throw new GmqError("cancelled", "the wait was given up", { cause: signal.reason });
        if (performance.now() > untilMs) {
          throw new GmqError("deadline_exceeded", `${group} has not settled everything: ${left}`, {
            limit: `${timeoutMs} ms`,
          });
        }
        await pause(lookMs, signal === undefined ? [] : [signal]);
      }
    },
    async restartBroker() {
      await running.stop();
      running = await startBroker(port);
    },
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => test.close(),
  };
  return test;
}

/** What a group has not settled, for people; "" when nothing, `before` when the broker does not say. A group that is not there yet has settled nothing. */
async function unsettled(gmq: Gmq, group: string, options: CallOptions, before: string): Promise<string> {
  try {
    const { partitions } = await gmq.admin.describeGroup(group, options);
    if (partitions.length === 0) return "the group has no partitions yet";
    return partitions
      .filter(({ lag }) => lag > 0n)
      .map(({ topic, partition, lag }) => `${lag} of ${topic}/${partition}`)
      .join(", ");
  } catch (error) {
    if (GmqError.is(error, "group_not_found")) return "there is no such group yet";
    // It may be about to be started again.
    if (GmqError.is(error) && error.retryable) return before;
    throw error;
  }
}

function nothing(): void {
  // a test reads its own output, not GMQ's
}
