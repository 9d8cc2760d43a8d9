/** A consumer in a process of its own that some records end, as kill -9 does. Arguments: brokers, topic, group, file, mode. Writes down each record that it has done. */
import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConsumerMode, connect } from "@gmq/client";

const [brokers = "", topicName = "", group = "", file = "", mode = "exclusive"] = process.argv.slice(2);
const journal = openSync(file, "a");
const gmq = await connect({ brokers: brokers.split(","), timeoutMs: 30_000 });
const subscription = gmq.subscribe<Uint8Array, Uint8Array>(
  topicName,
  {
    group,
    concurrency: 8,
    sessionTimeoutMs: 1_000,
    mode: mode as ConsumerMode,
    retry: { maxAttempts: 3, maxHandBacks: 3 },
  },
  async (message) => {
    const value = new TextDecoder().decode(message.value);
    await sleep(10);
    if (value.startsWith("killer")) process.kill(process.pid, "SIGKILL");
    writeSync(journal, `${message.key} ${value} ${message.attempt}\n`);
  },
);
process.stdout.write("consuming\n");
process.once("SIGTERM", () => void gmq.close().then(() => process.exit(0)));
await subscription.closed;
