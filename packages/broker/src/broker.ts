import { randomUUID } from "node:crypto";
import type { ConnectRouter } from "@connectrpc/connect";
import { type Logger, silentLogger } from "@gmq/log";
import { checkName, GmqError, limits } from "@gmq/protocol";
import { AdminService, BrokerService, type SessionRequest } from "@gmq/protocol/messages";
import type { Engine, FetchOutcome, PartitionFetch, PartitionSettle, SettleOutcome } from "@gmq/storage";
import { refusalToMessage } from "@gmq/storage/wire";
import {
  connectFrameHandler,
  type FrameStream,
  type LeanHandler,
  leanFrameHandler,
  type PeerContext,
} from "@gmq/transport";
import { callerOf, withAccess } from "./access/admin-access.js";
import { createAdmin } from "./admin.js";
import { type BrokerLimits, brokerLimits } from "./broker-limits.js";
import { createCallRate } from "./call-rate.js";
import { createDispatchers } from "./dispatchers.js";
import { createGatewayConsume } from "./gateway-consume.js";
import { createGatewayPublish } from "./gateway-publish.js";
import { createHeartbeats } from "./heartbeats.js";
import { createMemberships } from "./membership.js";
import { type BrokerLoad, createMeter, readMeter } from "./meter.js";
import { createPublish } from "./publish.js";
import { type Session, type SessionContext, startSession } from "./session.js";
import { type OutgoingResponse, sessionResponseBytes } from "./session-response.js";
import { createDesks } from "./shared/desks.js";
import type { SubscriptionContext } from "./subscription.js";
import { createTopicCache } from "./topic-cache.js";
import { createTopicPatterns } from "./topic-patterns.js";
import { createTurn } from "./turn.js";

/** How a broker behaves. */
export interface BrokerOptions {
  /** The store; the caller closes it after the broker. */
  readonly engine: Engine;
  /** Shown to operators; unique among the brokers of a store. Default: random. */
  readonly brokerId?: string;
  /** Shown to clients and operators. */
  readonly version?: string;
  readonly logger?: Logger;
  /** True (default): the first publish or subscribe makes a topic. */
  readonly autoCreateTopics?: boolean;
  /** Partitions of topics made by use; 1 to 4,096, default 4. */
  readonly defaultPartitions?: number;
  /** A new session says hello within this time; default 10,000 ms. */
  readonly helloTimeoutMs?: number;
  /** Heartbeats of sessions, both ways; default 3,000 ms. A client without consumers that is silent for three of them is gone. With more than some 600 sessions they are fewer, see `heartbeats.ts`. */
  readonly heartbeatIntervalMs?: number;
  /** A consumer gives a partition back within this time; default 5,000 ms. */
  readonly revokeTimeoutMs?: number;
  /** Every reader looks at its log this often even without a signal; default 30,000 ms. */
  readonly safetyIntervalMs?: number;
  /** Bounds against abuse; see BrokerLimits for what each does and its default. */
  readonly limits?: Partial<BrokerLimits>;
}

/** A broker: sessions, routing and dispatch over a store. It keeps nothing that another broker could not go on from. */
export interface Broker {
  readonly brokerId: string;
  /** Adds BrokerService and AdminService. */
  routes(router: ConnectRouter): void;
  /** Session streams for `listen`, straight on HTTP/2: the fast way for plain gRPC. */
  readonly frameHandlers: readonly LeanHandler[];
  /** Takes over a session's stream; `routes` and `frameHandlers` use it. */
  acceptSession(stream: FrameStream<SessionRequest, OutgoingResponse>, peer: PeerContext): void;
  readonly sessionCount: number;
  /** What it is doing, for metrics: read when asked for. */
  load(): BrokerLoad;
  /** Refuses new sessions, tells clients to go, lets settles finish, hands all partitions over. */
  drain(deadlineMs: number): Promise<void>;
  /** Stops at once. Idempotent. */
  close(): Promise<void>;
}

/** Makes a broker over an engine. @throws GmqError `invalid_argument`, `invalid_name` */
export function createBroker(options: BrokerOptions): Broker {
  const { engine, logger = silentLogger, version = "unknown", autoCreateTopics = true } = options;
  const brokerId = checkName("broker_id", options.brokerId ?? `broker-${randomUUID().slice(0, 8)}`);
  const defaultPartitions = options.defaultPartitions ?? limits.partitionsDefault;
  if (!Number.isInteger(defaultPartitions) || defaultPartitions < 1 || defaultPartitions > limits.partitionsMax) {
    throw new GmqError("invalid_argument", `defaultPartitions is ${defaultPartitions}`, {
      field: "defaultPartitions",
      limit: `1 to ${limits.partitionsMax}`,
    });
  }
  const bounds = brokerLimits(options.limits);
  const metadataRate = createCallRate(bounds.metadataCallsPerSecondMax);
  const heartbeatIntervalMs = options.heartbeatIntervalMs ?? limits.heartbeatIntervalMsDefault;
  const startedMs = performance.now();
  const topics = createTopicCache(engine.topics, {
    autoCreate: autoCreateTopics,
    defaultPartitions,
    topicsMax: bounds.topicsAutoCreatedMax,
  });
  const meter = createMeter();
  const publish = createPublish(engine.log, topics, bounds, meter);
  const memberships = createMemberships(engine.groups, logger);
  const dispatchers = createDispatchers(options.safetyIntervalMs ?? limits.safetyIntervalMsDefault);
  const patterns = createTopicPatterns(engine.topics, logger);
  const reading = {
    memberships,
    dispatchers,
    logger,
    log: engine.log,
    fetch: createTurn<PartitionFetch, FetchOutcome>((fetches) => engine.groups.fetch(fetches)),
    settle: createTurn<PartitionSettle, SettleOutcome>((settles) => engine.groups.settle(settles)),
  };
  const subscriptions: SubscriptionContext = {
    ...reading,
    follow: engine.groups.follow,
    meter,
    desks: createDesks(reading),
    resolveTopic: topics.resolve,
    findTopic: topics.find,
    patterns,
    revokeTimeoutMs: options.revokeTimeoutMs ?? limits.revokeTimeoutMsDefault,
  };
  const unsubscribe = engine.signals.subscribe((signal) => {
    topics.signal(signal);
    memberships.signal(signal);
    patterns.signal(signal);
    dispatchers.signal(signal);
  });
  const sessions = new Set<Session>();
  const heartbeats = createHeartbeats(heartbeatIntervalMs);
  const callerChecks = setInterval(() => {
    for (const session of sessions) session.checkCaller();
  }, heartbeatIntervalMs).unref();
  const load = (): BrokerLoad => readMeter(meter, sessions.size);
  const gatewayPublish = createGatewayPublish(topics, publish, bounds);
  const gatewayConsume = createGatewayConsume(subscriptions, brokerId);
  const facts = {
    brokerId,
    version,
    defaultPartitions,
    load,
    uptimeMs: () => performance.now() - startedMs,
  };
  const sessionContext: SessionContext = {
    brokerId,
    brokerVersion: version,
    publish,
    topics,
    subscriptions,
    meter,
    logger,
    limits: bounds,
    metadataRate,
    helloTimeoutMs: options.helloTimeoutMs ?? limits.helloTimeoutMsDefault,
    heartbeats,
  };
  const forget = (session: Session): void => void sessions.delete(session);
  let draining = false;

  function acceptSession(stream: FrameStream<SessionRequest, OutgoingResponse>, peer: PeerContext): void {
    if (draining) {
      stream.start({ frame: () => undefined, drain: () => undefined, end: () => undefined });
      stream.close(new GmqError("unavailable", "the broker is going away: connect elsewhere"));
      return;
    }
    const session = startSession(`${brokerId}-${randomUUID()}`, stream, peer, sessionContext, forget);
    sessions.add(session);
  }

  async function drain(deadlineMs: number): Promise<void> {
    draining = true;
    await Promise.allSettled(Array.from(sessions, (session) => session.sendAway(deadlineMs)));
  }

  return {
    brokerId,
    routes(router) {
      router.service(BrokerService, {
        session: connectFrameHandler<SessionRequest, OutgoingResponse>(acceptSession, {
          frameBytes: sessionResponseBytes,
        }),
        publish: (request, context) => gatewayPublish(request, callerOf(context)),
        consume: (request, context) => gatewayConsume.consume(request, context.signal, callerOf(context)),
        settle: async (request, context) => ({
          refusals: (await gatewayConsume.settle(request, callerOf(context))).map(refusalToMessage),
        }),
      });
      const topicChanged = (topic: string): void => topics.signal({ kind: "topic", topic });
      const admin = createAdmin(engine, memberships, facts, dispatchers, topicChanged);
      router.service(AdminService, withAccess(admin, metadataRate));
    },
    frameHandlers: [leanFrameHandler(BrokerService.method.session, acceptSession)],
    acceptSession,
    get sessionCount() {
      return sessions.size;
    },
    load,
    drain,
    async close() {
      await drain(0);
      unsubscribe();
      patterns.close();
      memberships.close();
      dispatchers.close();
      heartbeats.close();
      clearInterval(callerChecks);
    },
  };
}
