import { randomUUID } from "node:crypto";
import { type Logger, silentLogger } from "@gmq/log";
import { checkName, GmqError } from "@gmq/protocol";
import type { TlsClientSource } from "@gmq/transport";
import type { Engine, StoreStatus } from "../engine.js";
import { openLinks } from "./links.js";
import { createRemoteGroups } from "./remote-groups.js";
import { createRemoteLog } from "./remote-log.js";
import { createRemoteSignals } from "./remote-signals.js";
import { createRemoteTopics } from "./remote-topics.js";

export interface RemoteEngineOptions {
  /** Storage services over one store, `http://host:port` or `https://…`; 1 to 64. Partitions and groups spread over them. */
  readonly urls: readonly string[];
  /** Shown to operators of the storage services. Default: random. */
  readonly brokerId?: string;
  /** Asked at every new connection when it is a function. */
  readonly tls?: TlsClientSource;
  /** Bearer token for the storage services; a function is asked for each call. */
  readonly token?: string | (() => string);
  readonly logger?: Logger;
}

const urlsMax = 64;

/**
 * Opens the engine over storage services. Returns at once: `status().ready` tells when one of them is linked; calls before that wait 2 s and then fail with
 * `store_unavailable`. A lost service's partitions go over to the others until it is back. An append whose answer is lost is `unknown_outcome`.
 * @throws GmqError `invalid_argument` (urls), `invalid_name` (brokerId)
 */
export function createRemoteEngine(options: RemoteEngineOptions): Engine {
  const { urls, tls, token, logger = silentLogger } = options;
  if (urls.length === 0 || urls.length > urlsMax || new Set(urls).size !== urls.length) {
    throw new GmqError("invalid_argument", `${urls.length} storage URLs, or one of them twice`, {
      field: "urls",
      limit: `1 to ${urlsMax} different URLs`,
    });
  }
  const brokerId = checkName("broker_id", options.brokerId ?? `broker-${randomUUID().slice(0, 8)}`);
  const targets = urls.map((url) => ({
    url,
    ...(tls === undefined ? {} : { tls }),
    ...(token === undefined ? {} : { token }),
  }));
  const signals = createRemoteSignals();
  const links = openLinks(targets, brokerId, logger, { signals: signals.receive, resync: signals.resync });
  let closed = false;
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    closed = true;
    await links.close();
    signals.close();
  }

  async function status(): Promise<StoreStatus> {
    const down = (reason: string): StoreStatus => ({
      engine: "remote",
      ready: false,
      reason,
      durability: "unknown",
      details: {},
    });
    if (closed) return down("the engine is closed");
    const link = links.readyFor("status");
    if (link === undefined) return down(links.problem?.message ?? "no storage service answers");
    try {
      const { engine, ready, reason, durability, details } = await link.client.getStoreStatus({});
      return {
        engine: "remote",
        ready,
        reason,
        durability: durabilities.find((known) => known === durability) ?? "unknown",
        details: { ...details, store: engine, storage_url: link.url },
      };
    } catch (error) {
      return down(GmqError.from(error).message);
    }
  }

  return {
    kind: "remote",
    topics: createRemoteTopics(links),
    log: createRemoteLog(links),
    groups: createRemoteGroups(links),
    signals,
    status,
    close: () => (closing ??= close()),
  };
}

const durabilities: readonly StoreStatus["durability"][] = ["disk", "about 1 s", "memory", "unknown"];
