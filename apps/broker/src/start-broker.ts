import { createBroker } from "@gmq/broker";
import type { Logger } from "@gmq/log";
import { addReadiness, addRefusedConnections, addStoreStatus, createMetrics, measureEngine } from "@gmq/metrics";
import { Health } from "@gmq/protocol/grpc";
import { AdminService, BrokerService } from "@gmq/protocol/messages";
import {
  createHealth,
  healthPages,
  healthRoutes,
  judgeSecretInTheClear,
  type limitFields,
  listen,
  listenLimits,
  openAccess,
  openInTurn,
  openPeer,
  openPort,
  originsOf,
  type PortSecurity,
  packageVersion,
  parseAddress,
  type portFields,
  type RunningService,
  reflectionRoutes,
  watchReadiness,
} from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createRemoteEngine } from "@gmq/storage/remote";
import { addBrokerLoad } from "./broker-metrics.js";
import type { BrokerConfig, brokerBehaviour } from "./config.js";

/** A broker that listens. */
export interface RunningBroker extends RunningService {
  readonly url: string;
}

/**
 * Runs a broker over storage services. It listens at once; while no storage service answers, readiness is red and they are tried again.
 * @throws GmqError when the port cannot be had
 */
export async function startBroker(config: BrokerConfig, logger: Logger): Promise<RunningBroker> {
  const { brokerId } = config;
  return openInTurn(async (closers) => {
    const security = openBrokerPort(config, logger);
    closers.add(security.close);
    const { tls, token, close } = openPeer("storage", config, config.reloadMs, logger);
    closers.add(close);
    const urls = originsOf(config.storage);
    if (token !== undefined) {
      const remedy = "name the storage services by https://";
      judgeSecretInTheClear("the broker says its storage token", urls, remedy, config.refuseUnsafe, logger);
    }
    const engine = createRemoteEngine({
      urls,
      logger,
      ...(tls === undefined ? {} : { tls }),
      ...(token === undefined ? {} : { token }),
      ...(brokerId === undefined ? {} : { brokerId }),
    });
    closers.add(engine.close);
    const served = await serveBroker(engine, config, security, logger);
    closers.add(served.close);
    return { ...served, close: closers.close };
  });
}

/** Opens a broker's certificates and access file, before anything listens. @throws GmqError `invalid_argument` naming the wrong file */
export function openBrokerPort(
  config: Pick<BrokerConfig, "addr" | "accessFile" | keyof typeof portFields>,
  logger: Logger,
): PortSecurity {
  const { accessFile, addr, reloadMs } = config;
  const access = accessFile === undefined ? undefined : openAccess("--access-file", accessFile, reloadMs, logger);
  try {
    const port = openPort("the broker", addr, config, access?.authenticate, logger);
    return {
      ...port,
      close() {
        port.close();
        access?.close();
      },
    };
  } catch (error) {
    access?.close();
    throw error;
  }
}

/** The same over an engine and a port's security of the caller's, who closes them afterwards. */
export async function serveBroker(
  engine: Engine,
  config: Pick<BrokerConfig, "addr" | "brokerId" | keyof typeof brokerBehaviour | keyof typeof limitFields>,
  { tls, authenticate, guardMetrics }: Omit<PortSecurity, "close">,
  logger: Logger,
): Promise<RunningBroker> {
  const { brokerId, partitions, autoCreateTopics, heartbeatMs, allowedOrigins } = config;
  const health = createHealth();
  const services = [BrokerService, AdminService];
  const version = packageVersion(new URL("../package.json", import.meta.url));
  const metrics = createMetrics({ part: "broker", version, logger });
  return openInTurn(async (closers) => {
    closers.add(metrics.close);
    const healthPage = healthPages(health);
    const metricsPage = guardMetrics(metrics.page);
    const broker = createBroker({
      engine: measureEngine(engine, metrics),
      version,
      logger,
      autoCreateTopics,
      defaultPartitions: partitions,
      heartbeatIntervalMs: heartbeatMs,
      limits: config,
      ...(brokerId === undefined ? {} : { brokerId }),
    });
    closers.add(broker.close);
    addReadiness(metrics, health);
    addStoreStatus(metrics, engine, { memory: false });
    addBrokerLoad(metrics, broker);
    closers.add(
      await watchReadiness(health, "store", async () => {
        const { ready, reason } = await engine.status();
        return ready ? undefined : reason;
      }),
    );
    const listener = await listen({
      ...parseAddress(config.addr),
      routes(router) {
        broker.routes(router);
        healthRoutes(health, services)(router);
        reflectionRoutes([...services, Health])(router);
      },
      frameHandlers: broker.frameHandlers,
      plainHttp: (request, response) => healthPage(request, response) || metricsPage(request, response),
      allowedOrigins,
      limits: listenLimits(config),
      tls,
      authenticate,
      logger,
    });
    closers.add(() => listener.close({ drainMs: 1_000 }));
    addRefusedConnections(metrics, listener);
    health.report("start", undefined);
    logger.info("broker listens", { url: listener.url, brokerId: broker.brokerId });
    return {
      url: listener.url,
      async drain(deadlineMs) {
        health.drain();
        await broker.drain(deadlineMs);
      },
      close: closers.close,
    };
  });
}
