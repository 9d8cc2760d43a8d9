import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import { type Logger, silentLogger } from "@gmq/log";
import { checkName, GmqError } from "@gmq/protocol";
import { type LinkRequest, StorageService } from "@gmq/protocol/messages";
import {
  connectFrameHandler,
  type FrameStream,
  type LeanHandler,
  leanFrameHandler,
  leanUnaryHandlers,
  type PeerContext,
} from "@gmq/transport";
import type { Engine } from "../engine.js";
import { type LinkSession, linkResponseBytes, type OutgoingResponse, startLinkSession } from "./link-session.js";
import { createUnaryCalls } from "./unary-calls.js";

export interface StorageServiceOptions {
  /** Shown to brokers and operators; unique among the storage services of a store. Default: random. */
  readonly storageId?: string;
  /** Of the build, shown to operators. Default: "". */
  readonly version?: string;
  readonly logger?: Logger;
}

/** An engine served to brokers. The caller closes the engine after it. */
export interface StorageServer {
  readonly storageId: string;
  /** Adds StorageService. */
  routes(router: ConnectRouter): void;
  /** Links and calls for `listen`, straight on HTTP/2: the fast way for plain gRPC. */
  readonly frameHandlers: readonly LeanHandler[];
  /** Takes over a link's stream; `routes` and `frameHandlers` use it. */
  acceptLink(stream: FrameStream<LinkRequest, OutgoingResponse>, peer: PeerContext): void;
  readonly linkCount: number;
  /** Refuses new links, asks brokers to go elsewhere and answers them until they went or the deadline passed. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends every link at once. Idempotent. */
  close(): void;
}

/** How often a drain looks whether the brokers went. */
const drainLookMs = 20;

/** Makes the storage service over an engine. @throws GmqError `invalid_name` */
export function createStorageService(engine: Engine, options: StorageServiceOptions = {}): StorageServer {
  const logger = options.logger ?? silentLogger;
  const storageId = checkName("storage_id", options.storageId ?? `storage-${randomUUID().slice(0, 8)}`);
  const { version = "" } = options;
  const links = new Set<LinkSession>();
  let draining = false;

  function acceptLink(stream: FrameStream<LinkRequest, OutgoingResponse>, peer: PeerContext): void {
    if (draining) {
      stream.start({ frame: () => undefined, drain: () => undefined, end: () => undefined });
      stream.close(new GmqError("unavailable", "the storage service is going away: connect elsewhere"));
      return;
    }
    const link = startLinkSession(stream, peer, { engine, storageId, version, logger }, () => links.delete(link));
    links.add(link);
  }

  const calls = createUnaryCalls(engine);
  // What is asked once or more for each consumer; operators' calls are left to Connect.
  const { joinGroup, heartbeatMembers, leaveGroup, releaseOwnership, claimPartition, getGroup, readEntries } = calls;
  const lean = { joinGroup, heartbeatMembers, leaveGroup, releaseOwnership, claimPartition, getGroup, readEntries };

  return {
    storageId,
    routes(router) {
      router.service(StorageService, {
        ...calls,
        link: connectFrameHandler<LinkRequest, OutgoingResponse>(acceptLink, { frameBytes: linkResponseBytes }),
      });
    },
    frameHandlers: [
      leanFrameHandler(StorageService.method.link, acceptLink),
      ...leanUnaryHandlers(StorageService, lean, (error, method, requestId) =>
        logger.error(`call of ${method} failed`, { requestId, error }),
      ),
    ],
    acceptLink,
    get linkCount() {
      return links.size;
    },
    async drain(deadlineMs) {
      draining = true;
      for (const link of links) link.drain(deadlineMs);
      const untilMs = performance.now() + deadlineMs;
      while (links.size > 0 && performance.now() < untilMs) await sleep(drainLookMs);
    },
    close() {
      draining = true;
      for (const link of [...links]) link.close(new GmqError("unavailable", "the storage service went away"));
    },
  };
}
