import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { silentLogger } from "@gmq/log";
import { type Authenticate, listen } from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createNodeTransport, createServiceClient } from "@gmq/transport";
import { type Broker, type BrokerOptions, createBroker } from "../../src/broker.js";
import { openRawSession, type RawSession } from "./raw-session.js";

/** A broker on a real port over an engine in memory. */
export interface TestBroker {
  readonly url: string;
  readonly broker: Broker;
  readonly engine: Engine;
  /** A session that has said hello and keeps saying that it lives, unless told otherwise. */
  session(options?: {
    readonly hello?: boolean;
    readonly silent?: boolean;
    readonly token?: string;
  }): Promise<RawSession>;
  /** Unary calls and server streams, over one connection beside the sessions'. */
  client<Service extends DescService>(service: Service): Client<Service>;
  /** Ends sessions and calls, broker, port and engine. Idempotent. */
  stop(): Promise<void>;
}

/** `engine`: a store that others use too, and that is not closed with the broker. */
export async function startTestBroker(
  options: Partial<BrokerOptions> & { readonly authenticate?: Authenticate } = {},
): Promise<TestBroker> {
  const engine = options.engine ?? (await createEmbeddedEngine({ memory: true }));
  const broker = createBroker({ defaultPartitions: 2, heartbeatIntervalMs: 20_000, ...options, engine });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    routes: broker.routes,
    frameHandlers: broker.frameHandlers,
    authenticate: options.authenticate,
    logger: silentLogger,
  });
  const node = createNodeTransport({ url: listener.url });
  const sessions: RawSession[] = [];
  let stopping: Promise<void> | undefined;

  async function stop(): Promise<void> {
    for (const session of sessions) session.close();
    node.close();
    await broker.close();
    await listener.close({ drainMs: 200 });
    if (options.engine === undefined) await engine.close();
  }

  return {
    url: listener.url,
    broker,
    engine,
    async session({ hello = true, silent = false, token } = {}) {
      const session = openRawSession(listener.url, token);
      sessions.push(session);
      if (hello) await session.hello();
      if (hello && !silent) session.beatEvery(1_000);
      return session;
    },
    client: (service) => createServiceClient(service, node.transport),
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
