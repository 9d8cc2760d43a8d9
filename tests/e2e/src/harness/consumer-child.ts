/**
 * A consumer in a process of its own, to be killed: writes each record down before it acks it. Arguments: brokers, topic, group, file, optionally a number: every
 * record whose sequence is a multiple of it is poison, which is rejected until it was redriven; and optionally the mode and the session timeout.
 */
import { openSync, writeSync } from "node:fs";
import { type ConsumerMode, connect, Reject } from "@gmq/client";

const args = process.argv.slice(2);
const [brokers = "", topicName = "", group = "", file = "", poisonEvery = "0", mode = "exclusive", timeout = "3000"] =
  args;
const journal = openSync(file, "a");
const gmq = await connect({ brokers: brokers.split(","), timeoutMs: 30_000 });
const subscription = gmq.subscribe<Uint8Array, Uint8Array>(
  topicName,
  { group, concurrency: 32, sessionTimeoutMs: Number(timeout), mode: mode as ConsumerMode },
  (message) => {
    const value = new TextDecoder().decode(message.value).split(" ", 1)[0];
    const isPoison = Number(poisonEvery) > 0 && Number(value) % Number(poisonEvery) === 0;
    if (isPoison && message.headers["gmq-redrives"] === undefined)
      throw new Reject("poison", { cause: new Error(`record ${value}`) });
    // One write each, appended whole: what is in the file was handled, whoever dies.
    writeSync(journal, `${message.partition} ${message.offset} ${message.key} ${value}\n`);
  },
);
process.stdout.write("consuming\n");
process.once("SIGTERM", () => void gmq.close().then(() => process.exit(0)));
await subscription.closed;
