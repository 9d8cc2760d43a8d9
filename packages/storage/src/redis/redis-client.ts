/** The ioredis client behind a connection: one server (found by address, URL or Sentinel), or a cluster. */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";

export type RedisClient = Redis | Cluster;

/** A Redis server's address. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is; further ioredis options (TLS, ACL user, socket, Sentinel) are passed on. */
export interface RedisTarget {
  readonly url: string | undefined;
  /** Some nodes of a Redis Cluster; the others are found through them. In place of `url`. */
  readonly cluster: readonly RedisNode[] | undefined;
  readonly options: RedisOptions;
}

/** What becomes of the client's connections. */
export interface ClientEvents {
  ready(): void;
  /** `all`: nothing is connected any more. */
  lost(all: boolean): void;
  failed(error: Error): void;
}

export interface OpenClient {
  readonly redis: RedisClient;
  /** Every server that takes writes. */
  masters(): RedisClient[];
  /** Commands of this turn go out in one write to each server: ioredis alone makes a system call of each. */
  cork(): void;
  close(): void;
}

/**
 * A connection on which something is asked for and nothing comes for this long is dead, though nobody closed it: another one is opened, and what was in flight fails.
 * Redis answers in order, so this is the deadline of each command too; a timer for each of them would be ioredis' `commandTimeout`.
 */
const silenceMsMax = 6_000;
const pingIntervalMs = 5_000;
const retryMsMin = 50;
const retryMsMax = 2_000;
/** Hops of one command after slots that move. */
const redirectionsMax = 8;

/** Starts connecting. */
export function openClient(target: RedisTarget, name: string, events: ClientEvents): OpenClient {
  return target.cluster === undefined
    ? openServer(target, name, events)
    : openCluster(target, target.cluster, name, events);
}

function retryDelayMs(attempt: number): number {
  return Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempt, 8)) * (0.5 + Math.random() / 2);
}

/** What GMQ depends on, whatever the user's options say. */
function ownOptions(name: string): RedisOptions {
  return {
    connectionName: name,
    autoResubscribe: false,
    // A command that was in flight is never sent again: its outcome is unknown, and only its sender can find out.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    socketTimeout: silenceMsMax,
  };
}

function openServer({ url, options }: RedisTarget, name: string, events: ClientEvents): OpenClient {
  const all: RedisOptions = {
    ...options,
    ...ownOptions(name),
    enableOfflineQueue: false,
    retryStrategy: retryDelayMs,
  };
  const redis = url === undefined ? new Redis(all) : new Redis(url, all);
  const corks = createCorks();
  redis.on("ready", events.ready);
  redis.on("error", events.failed);
  redis.on("close", () => events.lost(true));
  const pinger = keepAlive(() => [redis]);
  return {
    redis,
    masters: () => [redis],
    cork: () => corks.cork(redis.stream),
    close() {
      clearInterval(pinger);
      redis.disconnect();
    },
  };
}

function openCluster(
  { options }: RedisTarget,
  nodes: readonly RedisNode[],
  name: string,
  events: ClientEvents,
): OpenClient {
  const { host: _host, port: _port, path: _path, sentinels: _sentinels, retryStrategy: _retry, ...rest } = options;
  const clusterOptions: ClusterOptions = {
    redisOptions: { ...rest, ...ownOptions(name) },
    enableOfflineQueue: false,
    maxRedirections: redirectionsMax,
    // Zero: a command that was in flight when its server was lost is not sent again (see above). MOVED, ASK and TRYAGAIN are answers: nothing was done.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    clusterRetryStrategy: retryDelayMs,
    // A certificate is for the name that was asked for, not for the address that it resolves to.
    ...(rest.tls === undefined ? {} : { dnsLookup: (name, done) => done(null, name) }),
  };
  const cluster = new Cluster(
    nodes.map(({ host, port }) => ({ host, port })),
    clusterOptions,
  );
  const corks = createCorks();
  const masters = (): Redis[] => cluster.nodes("master");
  cluster.on("+node", (node: Redis) => node.on("close", () => events.lost(false)));
  cluster.on("ready", () => {
    // Connected before it is used: a command for a server that is being connected to is refused.
    Promise.all(masters().map((node) => node.ping())).then(events.ready, events.failed);
  });
  cluster.on("error", events.failed);
  cluster.on("node error", events.failed);
  cluster.on("close", () => events.lost(true));
  const pinger = keepAlive(() => cluster.nodes("all"));
  return {
    redis: cluster,
    masters,
    cork() {
      for (const { stream } of masters()) if (stream !== undefined) corks.cork(stream);
    },
    close() {
      clearInterval(pinger);
      cluster.disconnect();
    },
  };
}

/** Who only listens would not notice that nothing can come any more. */
function keepAlive(servers: () => Redis[]): NodeJS.Timeout {
  const timer = setInterval(() => {
    for (const server of servers()) if (server.status === "ready") server.ping().catch(() => undefined); // its silence breaks the connection, and that is told
  }, pingIntervalMs);
  timer.unref();
  return timer;
}

/** Streams that hold what is written until the end of the turn. */
function createCorks() {
  let corked: Redis["stream"][] = [];

  function uncork(): void {
    const all = corked;
    corked = [];
    for (const stream of all) stream.uncork();
  }

  return {
    cork(stream: Redis["stream"]): void {
      if (corked.includes(stream)) return;
      stream.cork();
      corked.push(stream);
      if (corked.length === 1) process.nextTick(uncork);
    },
  };
}
