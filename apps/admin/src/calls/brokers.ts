import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { GmqError, limits } from "@gmq/protocol";
import { AdminService, type AdminServiceGetStatusResponse, BrokerService } from "@gmq/protocol/messages";
import type { Peer } from "@gmq/service";
import { fromConnectError } from "@gmq/transport";

/** One broker as it answered, or why it did not. */
export type BrokerAnswer =
  | { readonly url: string; readonly status: AdminServiceGetStatusResponse }
  | { readonly url: string; readonly problem: string };

/** Clients of one broker. */
export interface BrokerClients {
  readonly url: string;
  readonly admin: Client<typeof AdminService>;
  readonly broker: Client<typeof BrokerService>;
}

/** The brokers behind the portal. All see the same store, so any of them may be asked. Every call rejects with a GmqError. */
export interface Brokers {
  readonly urls: readonly string[];
  /** Asks one broker, and the next when it is not reachable. For reads only: what is asked may be asked twice. */
  read<T>(ask: (clients: BrokerClients, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Looks for a broker that answers, then asks it once: a write is never sent twice. */
  write<T>(ask: (clients: BrokerClients) => Promise<T>): Promise<T>;
  /** The broker of this id, undefined when none of those that answer is it. */
  find(brokerId: string): Promise<BrokerClients | undefined>;
  /** Every broker's status. Never rejects. */
  statuses(): Promise<BrokerAnswer[]>;
}

const callTimeoutMs = 5_000;
const noPeer = { tlsLive: undefined, token: undefined };

function bearer(token: (() => string) | undefined): Interceptor {
  return (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token()}`);
    return next(request);
  };
}

/** Makes the clients; nothing is opened before the first call. Calls have a deadline of 5 s. */
export function createBrokers(urls: readonly string[], peer: Pick<Peer, "tlsLive" | "token"> = noPeer): Brokers {
  const all = urls.map((url): BrokerClients => {
    const transport = createConnectTransport({
      baseUrl: url,
      httpVersion: "1.1",
      interceptors: [bearer(peer.token)],
      // Looked up for each connection, so that certificates can be renewed.
      ...(peer.tlsLive === undefined ? {} : { nodeOptions: peer.tlsLive }),
      defaultTimeoutMs: callTimeoutMs,
      readMaxBytes: limits.frameBytesMax,
    });
    return { url, admin: createClient(AdminService, transport), broker: createClient(BrokerService, transport) };
  });
  // Asked first: the one that answered last.
  let preferred = 0;

  async function read<T>(
    ask: (clients: BrokerClients, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<T> {
    let failure = new GmqError("unavailable", "there is no broker");
    for (let turn = 0; turn < all.length; turn++) {
      const index = (preferred + turn) % all.length;
      try {
        const answer = await ask(all[index]!, signal);
        preferred = index;
        return answer;
      } catch (error) {
        failure = named(error, all[index]!.url, signal);
        if (failure.code !== "unavailable") break;
      }
    }
    throw failure;
  }

  async function askStatus({ url, admin }: BrokerClients): Promise<BrokerAnswer> {
    try {
      return { url, status: await admin.getStatus({}) };
    } catch (error) {
      return { url, problem: fromConnectError(error).message };
    }
  }

  return {
    urls,
    read,
    async write(ask) {
      const clients = await read(async (candidate) => {
        await candidate.admin.getStatus({});
        return candidate;
      });
      try {
        return await ask(clients);
      } catch (error) {
        throw named(error, clients.url);
      }
    },
    async find(brokerId) {
      const answers = await Promise.all(all.map(askStatus));
      const index = answers.findIndex((answer) => "status" in answer && answer.status.brokerId === brokerId);
      return all[index];
    },
    statuses: () => Promise.all(all.map(askStatus)),
  };
}

/** The GmqError of a call; that a broker is not reachable is said with its URL. */
function named(error: unknown, url: string, signal?: AbortSignal): GmqError {
  const known = fromConnectError(error, signal);
  if (known.code !== "unavailable") return known;
  return new GmqError("unavailable", `broker ${url}: ${known.message}`, { cause: error });
}
