/**
 * AdminService as the portal serves it to its pages: reads go to any broker, everything else is a write and goes through the guard and the audit.
 * Calls are taken from the service's own description, so a new call of the brokers is served here without a change, and as a write unless its name says otherwise.
 */
import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { AdminService } from "@gmq/protocol/messages";
import { fromConnectError } from "@gmq/transport";
import { portalCallerOf } from "../access/roles.js";
import { checkKeyFilter } from "../masking/key-filter.js";
import { maskedBrokers } from "../masking/masked-brokers.js";
import type { MaskingRules } from "../masking/masking-rules.js";
import type { AuditedWrites } from "./audited-write.js";
import type { BrokerClients, Brokers } from "./brokers.js";
import { listPending } from "./list-pending.js";
import type { RequestGuard } from "./request-guard.js";

const readName = /^(List|Describe|Browse|Get|Explain|Preview)/;

type StreamCall = (
  request: Message,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
) => AsyncIterable<Message>;
type UnaryCall = (request: Message, options?: { readonly signal?: AbortSignal }) => Promise<Message>;

/** The calls of AdminService that change something. */
export const adminWrites: readonly string[] = AdminService.methods
  .map(({ name }) => name)
  .filter((name) => !readName.test(name));

/** Serves AdminService. */
export function addAdminRoutes(
  router: ConnectRouter,
  brokers: Brokers,
  masking: MaskingRules,
  guard: RequestGuard,
  auditedWrites: AuditedWrites,
): void {
  const seenBy = (context: HandlerContext): Brokers => maskedBrokers(brokers, masking, portalCallerOf(context)?.role);
  const calls: Record<string, unknown> = {};
  for (const method of AdminService.methods) {
    if (isServerStreaming(method)) calls[method.localName] = streamCall(method, guard, brokers, masking, auditedWrites);
    if (!isUnary(method)) continue;
    calls[method.localName] = readName.test(method.name)
      ? readCall(method, seenBy, guard)
      : writeCall(method, seenBy, guard, auditedWrites);
  }
  calls[AdminService.method.listPending.localName] = ((request, context) => {
    guard.check(context);
    return listPending(brokers, request, context.signal);
  }) satisfies ServiceImpl<typeof AdminService>["listPending"];
  router.service(AdminService, calls as Partial<ServiceImpl<typeof AdminService>>);
}

function isUnary(method: DescMethod): method is DescMethod & DescMethodUnary {
  return method.methodKind === "unary";
}

function isServerStreaming(method: DescMethod): method is DescMethod & DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

function readCall(method: DescMethodUnary, seenBy: (context: HandlerContext) => Brokers, guard: RequestGuard) {
  return (request: Message, context: HandlerContext): Promise<Message> => {
    guard.check(context);
    return seenBy(context).read(
      (clients) => callOf(clients, method)(request, { signal: context.signal }),
      context.signal,
    );
  };
}

function writeCall(
  method: DescMethodUnary,
  seenBy: (context: HandlerContext) => Brokers,
  guard: RequestGuard,
  auditedWrites: AuditedWrites,
) {
  return (request: Message, context: HandlerContext): Promise<Message> => {
    const { topic, group, dryRun } = request as { topic?: unknown; group?: unknown; dryRun?: unknown };
    // A dry run changes nothing: a viewer of a read-only portal may look at what an act would do.
    if (dryRun === true) return readCall(method, seenBy, guard)(request, context);
    return auditedWrites.write(
      {
        action: method.name,
        input: method.input,
        request,
        topic: typeof topic === "string" ? topic : "",
        group: typeof group === "string" ? group : "",
        compared: true,
        run: (clients) => callOf(clients, method)(request),
      },
      context,
    );
  };
}

/** A call that tells of its progress. It goes on for as long as its reader does, so it has no deadline. */
function streamCall(
  method: DescMethodServerStreaming,
  guard: RequestGuard,
  brokers: Brokers,
  masking: MaskingRules,
  auditedWrites: AuditedWrites,
) {
  const run = ({ admin }: BrokerClients, request: Message, signal: AbortSignal): AsyncIterable<Message> => {
    const call = admin[method.localName as keyof typeof admin] as unknown as StreamCall;
    return call(request, { signal, timeoutMs: 0 });
  };
  return async function* forward(request: Message, context: HandlerContext): AsyncGenerator<Message> {
    const { topic, group, dryRun } = request as { topic?: unknown; group?: unknown; dryRun?: unknown };
    const { filter } = request as { filter?: { key?: Uint8Array } };
    checkKeyFilter(masking, portalCallerOf(context)?.role, typeof topic === "string" ? topic : "", filter);
    if (dryRun === true) {
      guard.check(context);
      const stream = await brokers.write((clients) => Promise.resolve(run(clients, request, context.signal)));
      try {
        yield* stream;
      } catch (error) {
        throw fromConnectError(error, context.signal);
      }
      return;
    }
    yield* auditedWrites.writeStream(
      {
        action: method.name,
        input: method.input,
        request,
        topic: typeof topic === "string" ? topic : "",
        group: typeof group === "string" ? group : "",
        compared: false,
        run: (clients) => Promise.resolve(run(clients, request, context.signal)),
      },
      context,
    );
  };
}

/** The client's method, which rejects with what the broker said. */
function callOf({ admin }: BrokerClients, method: DescMethodUnary): UnaryCall {
  const call = admin[method.localName as keyof typeof admin] as unknown as UnaryCall;
  return async (request, options) => {
    try {
      return await call(request, options);
    } catch (error) {
      throw fromConnectError(error, options?.signal);
    }
  };
}
