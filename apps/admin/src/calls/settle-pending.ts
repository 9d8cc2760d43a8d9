import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  AdminServiceSettlePendingRequestSchema,
  type AdminServiceSettlePendingResponse,
  type PortalServiceSettlePendingRequest,
  type PortalServiceSettlePendingResponse,
} from "@gmq/protocol/messages";
import type { AuditedWrites } from "./audited-write.js";
import type { BrokerClients, Brokers } from "./brokers.js";
import type { RequestGuard } from "./request-guard.js";

/** What is needed to settle for an operator. */
export interface SettleContext {
  readonly brokers: Brokers;
  readonly guard: RequestGuard;
  readonly auditedWrites: AuditedWrites;
}

type Answer = Pick<PortalServiceSettlePendingResponse, "outcomes" | "brokerUrl">;

/** Settles records through the broker that has the partition, whichever it is. @throws GmqError what that broker refuses it with, `conflict` when the partition moves on while it is asked for */
export async function settlePending(
  { brokers, guard, auditedWrites }: SettleContext,
  { settle }: PortalServiceSettlePendingRequest,
  context: HandlerContext,
): Promise<Answer> {
  if (settle === undefined) throw new GmqError("invalid_argument", "nothing is to be settled", { field: "settle" });
  const run = async (clients: BrokerClients): Promise<Answer> => {
    const first = await clients.admin.settlePending(settle);
    if (first.ownerBrokerId === "") return found(first, clients);
    const owner = await brokers.find(first.ownerBrokerId);
    if (owner === undefined) {
      throw new GmqError(
        "unavailable",
        `the broker ${first.ownerBrokerId}, which has the partition, is not known to the portal or does not answer`,
      );
    }
    const second = await owner.admin.settlePending(settle);
    if (second.ownerBrokerId !== "") {
      throw new GmqError("conflict", "the partition went to another broker meanwhile: ask again", {
        field: "partition",
      });
    }
    return found(second, owner);
  };
  if (settle.dryRun) {
    guard.check(context);
    return await brokers.write(run);
  }
  const { topic, group } = settle;
  const input = AdminServiceSettlePendingRequestSchema;
  return await auditedWrites.write(
    { action: "SettlePending", input, request: settle, topic, group, compared: false, run },
    context,
  );
}

function found({ outcomes }: AdminServiceSettlePendingResponse, { url }: BrokerClients): Answer {
  return { outcomes, brokerUrl: url };
}
