import { randomUUID } from "node:crypto";
import { type Logger, silentLogger } from "@gmq/log";
import { checkName, GmqError } from "@gmq/protocol";
import type { TlsClientSource } from "@gmq/transport";
import type { Engine, StorageHealth, StoreStatus } from "../engine.js";
import { openLinks } from "./links.js";
import { createRemoteGroups } from "./remote-groups.js";
import { createRemoteLog } from "./remote-log.js";
import { createRemoteSignals } from "./remote-signals.js";
import { createRemoteTopics } from "./remote-topics.js";
import type { StorageLink } from "./storage-link.js";

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
const healthTimeoutMs = 2_000;

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
    const link = closed ? undefined : links.readyFor("status");
    // Begun at once with the store's own status: no service waits for another.
    const others = Promise.all(links.all.filter((each) => each !== link).map(healthOf));
    const down = (reason: string, storages: readonly StorageHealth[]): StoreStatus => ({
      engine: "remote",
      ready: false,
      reason,
      durability: "unknown",
      details: {},
      storages,
    });
    if (closed) return down("the engine is closed", []);
    if (link === undefined) return down(links.problem?.message ?? "no storage service answers", inOrder(await others));
    try {
      const { engine, ready, reason, durability, details } = await link.client.getStoreStatus({});
      return {
        engine: "remote",
        ready,
        reason,
        durability: durabilities.find((known) => known === durability) ?? "unknown",
        details: { ...details, store: engine, storage_url: link.url },
        storages: inOrder([seen(link, ready, reason), ...(await others)]),
      };
    } catch (error) {
      const { message } = GmqError.from(error);
      return down(message, inOrder([seen(link, false, message), ...(await others)]));
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

function seen({ url, service }: StorageLink, ready: boolean, reason: string): StorageHealth {
  return { url, ...service, ready, reason };
}

/** How a service is; never rejects. One that is linked and does not answer is not waited for longer than the rest need. */
async function healthOf(link: StorageLink): Promise<StorageHealth> {
  if (!link.ready) return seen(link, false, link.problem?.message ?? "not linked");
  try {
    const { ready, reason } = await link.client.getStoreStatus({}, { timeoutMs: healthTimeoutMs });
    return seen(link, ready, reason);
  } catch (error) {
    return seen(link, false, GmqError.from(error).message);
  }
}

function inOrder(storages: readonly StorageHealth[]): StorageHealth[] {
  return storages.toSorted((left, right) => (left.url < right.url ? -1 : 1));
}

const durabilities: readonly StoreStatus["durability"][] = ["disk", "about 1 s", "memory", "unknown"];
