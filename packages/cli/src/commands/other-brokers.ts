import { type CallOptions, connect, type Gmq } from "@gmq/client";
import { GmqError } from "@gmq/protocol";
import { readCredentials } from "../input/credentials.js";
import { errorText } from "../output/error-text.js";
import type { Terminal } from "../terminal.js";
import { brokerDefault, type GlobalOptions } from "./context.js";

/**
 * Asks brokers by their ids, as far as `--broker` names them: each is a connection of its own. One that does not answer is named on stderr and passed over: what was
 * asked of others, and done, is told all the same. `ask` answers whether another is wanted. Returns the ids that were not found.
 */
export async function askBrokers(
  brokerIds: readonly string[],
  options: GlobalOptions,
  call: CallOptions,
  { stderr, interrupted }: Terminal,
  ask: (gmq: Gmq) => Promise<boolean>,
): Promise<ReadonlySet<string>> {
  const wanted = new Set(brokerIds);
  for (const url of options.broker ?? [brokerDefault]) {
    if (wanted.size === 0) break;
    try {
      const other = await connect({ brokers: [url], clientId: "gmq-cli", ...readCredentials(options), ...call });
      try {
        const { brokerId } = await other.admin.status(call);
        if (!wanted.has(brokerId)) continue;
        const isAnother = await ask(other);
        wanted.delete(brokerId);
        if (!isAnother) break;
      } finally {
        await other.close();
      }
    } catch (error) {
      if (interrupted.aborted) throw error;
      stderr.write(`gmq: ${url} was not asked: ${errorText(GmqError.from(error))}\n`);
    }
  }
  return wanted;
}
