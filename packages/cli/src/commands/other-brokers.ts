import { type CallOptions, connect, type Gmq } from "@gmq/client";
import { readCredentials } from "../input/credentials.js";
import { brokerDefault, type GlobalOptions } from "./context.js";

/**
 * Asks brokers by their ids, as far as `--broker` names them: each is a connection of its own.
 * `ask` answers whether another is wanted. Returns the ids that were not found.
 */
export async function askBrokers(
  brokerIds: readonly string[],
  options: GlobalOptions,
  call: CallOptions,
  ask: (gmq: Gmq) => Promise<boolean>,
): Promise<ReadonlySet<string>> {
  const wanted = new Set(brokerIds);
  for (const url of options.broker ?? [brokerDefault]) {
    if (wanted.size === 0) break;
    const other = await connect({ brokers: [url], clientId: "gmq-cli", ...readCredentials(options), ...call });
    try {
      if (wanted.delete((await other.admin.status(call)).brokerId) && !(await ask(other))) break;
    } finally {
      await other.close();
    }
  }
  return wanted;
}
