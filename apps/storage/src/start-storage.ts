import type { Logger } from "@gmq/log";
import { addGroupLag, addReadiness, addStoreStatus, createMetrics, measureEngine } from "@gmq/metrics";
import { Health } from "@gmq/protocol/grpc";
import { StorageService } from "@gmq/protocol/messages";
import {
  createClosers,
  createHealth,
  healthPages,
  healthRoutes,
  listen,
  packageVersion,
  parseAddress,
  type RunningService,
  reflectionRoutes,
  watchReadiness,
} from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createStorageService } from "@gmq/storage/service";
import type { StorageConfig } from "./config.js";
import { openEngine } from "./open-engine.js";

/** A storage service that listens. */
export interface RunningStorage extends RunningService {
  readonly url: string;
}

/**
 * Serves a store to brokers. It listens at once; while Redis does not answer, readiness is red and Redis is tried again.
 * @throws GmqError when the port or the data folder cannot be had
 */
export async function startStorage(config: StorageConfig, logger: Logger): Promise<RunningStorage> {
  const engine = await openEngine(config, logger);
  try {
    const served = await serveStorage(engine, config, logger);
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
export async function serveStorage(
  engine: Engine,
  config: Pick<StorageConfig, "addr" | "storageId" | "lagSeriesMax">,
  logger: Logger,
): Promise<RunningStorage> {
  const { storageId } = config;
  const closers = createClosers();
  const health = createHealth();
  const services = [StorageService];
  const version = packageVersion(new URL("../package.json", import.meta.url));
  const metrics = createMetrics({ part: "storage", version, logger });
  closers.add(metrics.close);
  addReadiness(metrics, health);
  addStoreStatus(metrics, engine, { memory: true });
  addGroupLag(metrics, engine, { seriesMax: config.lagSeriesMax });
  const healthPage = healthPages(health);
  try {
    const storage = createStorageService(measureEngine(engine, metrics), {
      logger,
      ...(storageId === undefined ? {} : { storageId }),
    });
    closers.add(storage.close);
    closers.add(
      await watchReadiness(health, "store", async () => {
        const { ready, reason } = await engine.status();
        return ready ? undefined : reason;
      }),
    );
    const listener = await listen({
      ...parseAddress(config.addr),
      routes(router) {
        storage.routes(router);
        healthRoutes(health, services)(router);
        reflectionRoutes([...services, Health])(router);
      },
      frameHandlers: storage.frameHandlers,
      plainHttp: (request, response) => healthPage(request, response) || metrics.page(request, response),
      logger,
    });
    closers.add(() => listener.close({ drainMs: 1_000 }));
    health.report("start", undefined);
    logger.info("storage listens", { url: listener.url, storageId: storage.storageId, engine: engine.kind });
    return {
      url: listener.url,
      async drain(deadlineMs) {
        health.drain();
        await storage.drain(deadlineMs);
      },
      close: closers.close,
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}
