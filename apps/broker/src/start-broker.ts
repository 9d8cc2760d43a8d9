import { createBroker } from "@gmq/broker";
import type { Logger } from "@gmq/log";
import { addReadiness, addStoreStatus, createMetrics, measureEngine } from "@gmq/metrics";
import { Health } from "@gmq/protocol/grpc";
import { AdminService, BrokerService } from "@gmq/protocol/messages";
import {
  createClosers,
  createHealth,
  healthPages,
  healthRoutes,
  listen,
  originsOf,
  packageVersion,
  parseAddress,
  type RunningService,
  reflectionRoutes,
  watchReadiness,
} from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createRemoteEngine } from "@gmq/storage/remote";
import { addBrokerLoad } from "./broker-metrics.js";
import type { BrokerConfig } from "./config.js";

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
  const engine = createRemoteEngine({
    urls: originsOf(config.storage),
    logger,
    ...(brokerId === undefined ? {} : { brokerId }),
  });
  try {
    const served = await serveBroker(engine, config, logger);
    return {
      ...served,
      async close() {
        await served.close();
        await engine.close();
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** The same over an engine of the caller's, who closes it afterwards. */
export async function serveBroker(
  engine: Engine,
  config: Omit<BrokerConfig, "storage" | "logLevel" | "drainTimeoutMs">,
  logger: Logger,
): Promise<RunningBroker> {
  const { brokerId, partitions, autoCreateTopics, heartbeatMs, allowedOrigins } = config;
  const closers = createClosers();
  const health = createHealth();
  const services = [BrokerService, AdminService];
  const version = packageVersion(new URL("../package.json", import.meta.url));
  const metrics = createMetrics({ part: "broker", version, logger });
  closers.add(metrics.close);
  const healthPage = healthPages(health);
  try {
    const broker = createBroker({
      engine: measureEngine(engine, metrics),
      version,
      logger,
      autoCreateTopics,
      defaultPartitions: partitions,
      heartbeatIntervalMs: heartbeatMs,
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
      plainHttp: (request, response) => healthPage(request, response) || metrics.page(request, response),
      allowedOrigins,
      logger,
    });
    closers.add(() => listener.close({ drainMs: 1_000 }));
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
  } catch (error) {
    await closers.close();
    throw error;
  }
}
