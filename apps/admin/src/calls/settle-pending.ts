import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  type AdminServiceSettlePendingRequest,
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
    if (first.ownerBrokerId === "") return await askOthers(brokers, settle, first, clients);
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
    return await askOthers(brokers, settle, second, owner);
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

/** Asks the other brokers of a shared group for what the first does not have. */
async function askOthers(
  brokers: Brokers,
  settle: AdminServiceSettlePendingRequest,
  first: AdminServiceSettlePendingResponse,
  clients: BrokerClients,
): Promise<Answer> {
  const outcomes = new Map(first.outcomes.map((outcome) => [outcome.offset, outcome]));
  for (const brokerId of first.otherBrokerIds) {
    const open = [...outcomes.values()].filter(({ error }) => error?.code === "not_delivered");
    const other = open.length === 0 ? undefined : await brokers.find(brokerId);
    if (other === undefined) continue;
    const request = { ...settle, offsets: open.map(({ offset }) => offset) };
    for (const outcome of (await other.admin.settlePending(request)).outcomes) outcomes.set(outcome.offset, outcome);
  }
  return found({ ...first, outcomes: [...outcomes.values()] }, clients);
}

function found({ outcomes }: AdminServiceSettlePendingResponse, { url }: BrokerClients): Answer {
  return { outcomes, brokerUrl: url };
}
