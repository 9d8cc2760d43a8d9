import { GmqError } from "@gmq/protocol";
import type { AdminServiceListPendingRequest, AdminServiceListPendingResponse } from "@gmq/protocol/messages";
import type { Brokers } from "./brokers.js";

type Asked = Pick<AdminServiceListPendingRequest, "group" | "topic" | "partition" | "limit">;

/**
 * What a broker lists. Which consumer has a record of a shared group only the broker of that consumer knows, so those are asked too; `otherBrokerIds` of the
 * answer are those that did not tell.
 */
export async function listPending(
  brokers: Brokers,
  asked: Asked,
  signal: AbortSignal,
): Promise<AdminServiceListPendingResponse> {
  const first = await brokers.read(({ admin }) => admin.listPending(asked, { signal }), signal);
  const answers = await Promise.all(
    first.otherBrokerIds.map(async (brokerId) => ({
      brokerId,
      answer: await listAt(brokers, brokerId, asked, signal),
    })),
  );
  const told = new Map(
    answers.map(({ brokerId, answer }) => [
      brokerId,
      answer && new Map(answer.records.map((one) => [one.offset, one])),
    ]),
  );
  const records = first.records.map((record) => {
    const there = told.get(record.brokerId)?.get(record.offset);
    // It may have passed on between the two answers.
    return there?.brokerId === record.brokerId ? there : record;
  });
  return { ...first, records, otherBrokerIds: first.otherBrokerIds.filter((id) => told.get(id) === undefined) };
}

/** Undefined: the broker is not known to the portal, or does not answer. */
async function listAt(
  brokers: Brokers,
  brokerId: string,
  asked: Asked,
  signal: AbortSignal,
): Promise<AdminServiceListPendingResponse | undefined> {
  const broker = await brokers.find(brokerId);
  try {
    return await broker?.admin.listPending(asked, { signal });
  } catch (error) {
    const { code } = GmqError.from(error);
    if (code !== "unavailable" && code !== "deadline_exceeded") throw error;
    return undefined;
  }
}
