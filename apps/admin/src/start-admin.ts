import { create } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { addReadiness, addRefusedConnections, createMetrics } from "@gmq/metrics";
import { PortalFactsSchema, PortalService } from "@gmq/protocol/messages";
import {
  createHealth,
  healthPages,
  healthRoutes,
  isLoopbackHost,
  judgeSecretInTheClear,
  listen,
  listenLimits,
  openInTurn,
  openPeer,
  openPort,
  originsOf,
  type Peer,
  type PortSecurity,
  packageVersion,
  parseAddress,
  type RunningService,
  type ServerTls,
  watchReadiness,
} from "@gmq/service";
import { createClientAddress } from "./access/client-address.js";
import { openOidc } from "./access/open-oidc.js";
import { createPortalAccess, type PortalAccess } from "./access/portal-access.js";
import { openPortalUsers } from "./access/portal-users.js";
import { portalRole } from "./access/roles.js";
import { openAlertMemory } from "./alerts/alert-memory.js";
import { openAlertRules } from "./alerts/alert-rules.js";
import { watchAlerts } from "./alerts/alerts.js";
import { openSilences } from "./alerts/silences.js";
import { createWebhook } from "./alerts/webhook.js";
import { openAuditLog } from "./audit/audit-log.js";
import { addAdminRoutes } from "./calls/admin-routes.js";
import { createAuditedWrites } from "./calls/audited-write.js";
import { type Brokers, createBrokers } from "./calls/brokers.js";
import { createRequestGuard, type RequestGuard } from "./calls/request-guard.js";
import { createClusterSampler } from "./cluster/cluster-sampler.js";
import type { AdminConfig } from "./config.js";
import { openDescriptors } from "./decode/descriptors.js";
import { openJobStore } from "./jobs/job-store.js";
import { openJobs } from "./jobs/jobs.js";
import { maskedBrokers } from "./masking/masked-brokers.js";
import { type MaskingRules, noMasking, openMaskingRules } from "./masking/masking-rules.js";
import { createPortalService } from "./portal-service.js";
import { createWebFiles } from "./web-files.js";

/** A portal that listens. */
export interface RunningAdmin extends RunningService {
  readonly url: string;
}

/** What a portal goes by. */
export type AdminOptions = Omit<AdminConfig, "logLevel" | "drainTimeoutMs">;

/** Runs the portal over brokers: it asks them, never the store. @throws GmqError when the port or the data folder cannot be had */
export async function startAdmin(options: AdminOptions, logger: Logger): Promise<RunningAdmin> {
  const security = openPortalSecurity(options, logger);
  try {
    const served = await serveAdmin(options, security, logger);
    return {
      ...served,
      async close() {
        await served.close();
        security.close();
      },
    };
  } catch (error) {
    security.close();
    throw error;
  }
}

/** Everything that a portal's port and its calls to brokers go by, opened before anything listens. */
export interface PortalSecurity {
  readonly tls: ServerTls | undefined;
  readonly access: PortalAccess;
  readonly guard: RequestGuard;
  readonly masking: MaskingRules;
  readonly guardMetrics: PortSecurity["guardMetrics"];
  readonly peer: Pick<Peer, "tlsLive" | "token">;
  close(): void;
}

/** Opens certificates, access file and tokens. @throws GmqError `invalid_argument` naming the wrong file */
export function openPortalSecurity(options: AdminOptions, logger: Logger): PortalSecurity {
  const { portalAccessFile: file, reloadMs, publicUrls } = options;
  const closers: (() => void)[] = [];
  const close = (): void => {
    for (const one of closers.splice(0)) one();
  };
  try {
    const users = file === undefined ? undefined : openPortalUsers("--portal-access-file", file, reloadMs, logger);
    if (users !== undefined) closers.push(users.close);
    const masking =
      options.portalMaskingFile === undefined
        ? noMasking
        : openMaskingRules("--portal-masking-file", options.portalMaskingFile, reloadMs, logger);
    closers.push(masking.close);
    const { host: listenHost } = parseAddress(options.addr);
    const place = { host: listenHost, hasTls: options.tlsCert !== undefined, publicUrls, reloadMs };
    const oidc = openOidc(options, place, logger);
    if (oidc !== undefined) closers.push(oidc.close);
    const addressOf = createClientAddress(options.trustedProxies);
    const guard = createRequestGuard({ ...options, onLoopback: isLoopbackHost(listenHost), addressOf });
    const access = createPortalAccess({
      users,
      oidc,
      addressOf,
      idleMs: options.sessionIdleMs,
      ageMsMax: options.sessionAgeMsMax,
      loginFailuresPerMinuteMax: options.loginFailuresPerMinuteMax,
      secure:
        options.tlsCert !== undefined || (publicUrls.length > 0 && publicUrls.every((url) => url.startsWith("https:"))),
      isOwnOrigin: ({ host, ":authority": authority, origin }) =>
        guard.isOwnPage(String(authority ?? host ?? ""), origin),
      logger,
    });
    const authenticate = access.isOn ? access.authenticate : undefined;
    const port = openPort("the portal", options.addr, options, authenticate, logger);
    closers.push(port.close);
    const peer = openPeer("broker", options, reloadMs, logger);
    closers.push(peer.close);
    if (peer.token !== undefined) {
      const remedy = "name the brokers by https://";
      const urls = originsOf(options.brokers);
      judgeSecretInTheClear("the portal says its token", urls, remedy, options.refuseUnsafe === true, logger);
    }
    return { tls: port.tls, guardMetrics: port.guardMetrics, access, guard, masking, peer, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The same with a security of the caller's, who closes it afterwards. */
export async function serveAdmin(
  options: AdminOptions,
  { tls, access, guard, masking, guardMetrics, peer }: Omit<PortalSecurity, "close">,
  logger: Logger,
): Promise<RunningAdmin> {
  const health = createHealth();
  const brokers = createBrokers(originsOf(options.brokers), peer);
  const address = parseAddress(options.addr);
  const version = packageVersion(new URL("../package.json", import.meta.url));
  const metrics = createMetrics({ part: "admin", version, logger });
  return openInTurn(async (closers) => {
    closers.add(metrics.close);
    addReadiness(metrics, health);
    metrics.read("gmq_portal_brokers", () => countBrokers(brokers));
    const webFiles = await createWebFiles();
    const audit = await openAuditLog(options.data, logger);
    closers.add(audit.close);
    const store = await openJobStore(options.data, logger);
    closers.add(store.close);
    const readers = {
      as: (role: string) => maskedBrokers(brokers, masking, portalRole(role)),
      isMasked: masking.hasRules,
    };
    const jobs = await openJobs(store, readers, audit, logger);
    closers.add(jobs.close);
    const descriptors = await openDescriptors(options.data, logger);
    const sampler = createClusterSampler(brokers, logger);
    closers.add(sampler.close);
    const rules = openAlertRules(options.portalAlertsFile, options.reloadMs, logger);
    closers.add(rules.close);
    const silences = await openSilences(options.data, logger);
    const webhook = createWebhook(rules.webhook, logger);
    const memory = await openAlertMemory(options.data, logger);
    const portalUrl = options.publicUrls[0] ?? "";
    const { environment } = options;
    const alertParts = { rules, silences, webhook, memory, environment, portalUrl };
    const alerts = watchAlerts(alertParts, sampler, logger);
    closers.add(alerts.close);
    closers.add(await watchReadiness(health, "brokers", () => brokersProblem(brokers)));
    const auditedWrites = createAuditedWrites(brokers, guard, audit);
    const facts = create(PortalFactsSchema, {
      version,
      environment: options.environment,
      environmentColor: options.environmentColor,
      readOnly: options.readOnly,
      auditKept: audit.kept,
      brokerUrl: brokers.urls[0] ?? "",
    });
    const service = createPortalService({
      brokers,
      masking,
      access,
      sampler,
      audit,
      jobs,
      alerts,
      rules,
      silences,
      webhook,
      descriptors,
      guard,
      auditedWrites,
      facts,
    });
    const healthPage = healthPages(health);
    const metricsPage = guardMetrics(metrics.page);
    const addHealthRoutes = healthRoutes(health, [PortalService]);
    const listener = await listen({
      ...address,
      routes: (router) => {
        router.service(PortalService, service);
        addAdminRoutes(router, brokers, masking, guard, auditedWrites);
        addHealthRoutes(router);
      },
      plainHttp: (request, response) =>
        healthPage(request, response) ||
        access.pages(request, response) ||
        metricsPage(request, response) ||
        webFiles(request, response),
      limits: listenLimits(options),
      tls,
      authenticate: access.isOn ? access.authenticate : undefined,
      logger,
    });
    closers.add(() => listener.close({ drainMs: 1_000 }));
    addRefusedConnections(metrics, listener);
    health.report("start", undefined);
    logger.info("portal listens", { url: listener.url });
    return {
      url: listener.url,
      async drain() {
        health.drain();
      },
      close: closers.close,
    };
  });
}

/** Undefined when some broker answers and its store can serve. */
async function brokersProblem(brokers: Brokers): Promise<string | undefined> {
  const answers = await brokers.statuses();
  const serving = answers.some((answer) => "status" in answer && answer.status.storeReady);
  return serving ? undefined : "no broker with a ready store answers";
}

async function countBrokers(brokers: Brokers) {
  const answers = await brokers.statuses();
  const answering = answers.filter((answer) => "status" in answer).length;
  return [
    { labels: { state: "answering" }, value: answering },
    { labels: { state: "silent" }, value: answers.length - answering },
  ];
}
