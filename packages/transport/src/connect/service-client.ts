import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { fromConnectError } from "../translate-error.js";

type Call = (request: unknown, options?: CallOptions) => Promise<unknown> | AsyncIterable<unknown>;

/**
 * A typed client of a service: `client.createTopic({ topic })`. Unary calls have the transport's deadline unless `timeoutMs` names another;
 * streams have none. Every call fails with a GmqError: the peer's own when it sent one, else `unavailable`, `deadline_exceeded`, `cancelled`;
 * its `retryable` tells whether to call again.
 */
export function createServiceClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  const client = createClient(service, transport) as Record<string, Call>;
  const entries = service.methods.map((method) => [method.localName, translated(client, method)] as const);
  return Object.fromEntries(entries) as Client<Service>;
}

function translated(client: Record<string, Call>, method: DescMethod): Call {
  const call = client[method.localName] as Call;
  if (method.methodKind === "unary" || method.methodKind === "client_streaming") {
    return async (request, options) => {
      try {
        return await call(request, options);
      } catch (error) {
        throw fromConnectError(error, options?.signal ?? neverAborted);
      }
    };
  }
  return async function* (request, options) {
    try {
      yield* call(request, { timeoutMs: 0, ...options }) as AsyncIterable<unknown>;
    } catch (error) {
      throw fromConnectError(error, options?.signal ?? neverAborted);
    }
  };
}

const neverAborted = new AbortController().signal;
