import type { Logger } from "@gmq/log";
import {
  addGroupLag,
  addReadiness,
  addRefusedConnections,
  addStoreStatus,
  createMetrics,
  measureEngine,
} from "@gmq/metrics";
import { Health } from "@gmq/protocol/grpc";
import { StorageService } from "@gmq/protocol/messages";
import {
  createHealth,
  healthPages,
  healthRoutes,
  type limitFields,
  listen,
  listenLimits,
  openInTurn,
  openPeer,
  openPort,
  type PortSecurity,
  packageVersion,
  parseAddress,
  type portFields,
  type RunningService,
  reflectionRoutes,
  sharedTokenAccess,
  watchReadiness,
} from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createStorageService } from "@gmq/storage/service";
import type { StorageConfig, storageTokenFields } from "./config.js";
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
  return openInTurn(async (closers) => {
    const security = openStoragePort(config.addr, config, logger);
    closers.add(security.close);
    const engine = await openEngine(config, logger);
    closers.add(engine.close);
    const served = await serveStorage(engine, config, security, logger);
    closers.add(served.close);
    return { ...served, close: closers.close };
  });
}

/**
 * Opens the certificates and the credential of a storage port, before anything listens. Access is on with a token, or with required client certificates.
 * @param closed true: without a credential of its own the port lets nobody in
 * @throws GmqError `invalid_argument` naming the wrong file
 */
export function openStoragePort(
  addr: string,
  config: Pick<StorageConfig, keyof typeof portFields | keyof typeof storageTokenFields>,
  logger: Logger,
  closed = false,
): PortSecurity {
  const { tlsRequireClientCert, reloadMs, storageToken, storageTokenFile } = config;
  const credential = openPeer("storage", { storageToken, storageTokenFile }, reloadMs, logger);
  const isOn = credential.token !== undefined || tlsRequireClientCert || closed;
  const authenticate = isOn ? sharedTokenAccess(credential.token, tlsRequireClientCert) : undefined;
  try {
    const port = openPort("the storage service", addr, config, authenticate, logger);
    return {
      ...port,
      close() {
        port.close();
        credential.close();
      },
    };
  } catch (error) {
    credential.close();
    throw error;
  }
}

/** The same over an engine and a port's security of the caller's, who closes them afterwards. */
export async function serveStorage(
  engine: Engine,
  config: Pick<StorageConfig, "addr" | "storageId" | "lagSeriesMax" | keyof typeof limitFields>,
  { tls, authenticate, guardMetrics }: Omit<PortSecurity, "close">,
  logger: Logger,
): Promise<RunningStorage> {
  const { storageId } = config;
  const health = createHealth();
  const services = [StorageService];
  const version = packageVersion(new URL("../package.json", import.meta.url));
  const metrics = createMetrics({ part: "storage", version, logger });
  return openInTurn(async (closers) => {
    closers.add(metrics.close);
    addReadiness(metrics, health);
    addStoreStatus(metrics, engine, { memory: true });
    addGroupLag(metrics, engine, { seriesMax: config.lagSeriesMax });
    const healthPage = healthPages(health);
    const metricsPage = guardMetrics(metrics.page);
    const storage = createStorageService(measureEngine(engine, metrics), {
      logger,
      version,
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
      plainHttp: (request, response) => healthPage(request, response) || metricsPage(request, response),
      limits: listenLimits(config),
      tls,
      authenticate,
      logger,
    });
    closers.add(() => listener.close({ drainMs: 1_000 }));
    addRefusedConnections(metrics, listener);
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
  });
}
