/** A producer in a process of its own, to be killed, stopped and cut off. Argument: `ProducerSpec` as JSON. Reads commands from stdin, a line each. */
import { connect, GmqError } from "@gmq/client";
import { nowMs } from "../history/events.ts";
import { openJournal } from "../history/journal.ts";
import { isOutcomeUnknown, type ProducerSpec, readCommands } from "./spec.ts";

const spec = JSON.parse(process.argv[2] ?? "{}") as ProducerSpec;
const journal = openJournal(spec.folder, spec.name);
const gmq = await connect({ brokers: spec.brokers, clientId: spec.name, timeoutMs: 60_000 });
const producer = gmq.producer({ timeoutMs: spec.timeoutMs });
const filler = "x".repeat(spec.valueBytes);
const nextOfKey: number[] = new Array(spec.keys).fill(0);
let count = 0;
let open = 0;
let stopping = false;
const openMax = 5_000;
const tickMs = 10;

function send(): void {
  const keyIndex = count % spec.keys;
  // Spread over the numbers, and the same in every run.
  const lot = (count * 7_919) % 1_000;
  const isLate = lot < spec.delayPerMille;
  const isShort = lot >= 500 && lot < 500 + spec.ttlPerMille;
  const id = `${spec.name}.${count++}`;
  // A delayed record takes its place in the log when its time comes: it has no order to keep with others.
  const key = isLate ? `${id}-late` : `${spec.name}-k${keyIndex}`;
  const seq = isLate ? 0 : (nextOfKey[keyIndex] ?? 0);
  if (!isLate) nextOfKey[keyIndex] = seq + 1;
  open++;
  const at = nowMs();
  const delayMs = isLate ? 200 + ((lot * 13) % spec.delayMsMax) : 0;
  const ttlMs = isShort ? spec.ttlMs : undefined;
  const times = {
    ...(isLate ? { dueAt: at + delayMs } : {}),
    ...(ttlMs === undefined ? {} : { expiresAt: at + ttlMs }),
  };
  journal.note({ e: "send", at, id, topic: spec.topic, key, seq, ...times });
  const deliverAt = isLate ? Date.now() + delayMs : undefined;
  producer.send(spec.topic, { key, value: `${id} ${filler}`, deliverAt, ttlMs }).then(
    ({ partition, offset, duplicate }) => {
      open--;
      journal.note({ e: "stored", at: nowMs(), id, topic: spec.topic, partition, offset: Number(offset), duplicate });
    },
    (cause: unknown) => {
      open--;
      const { code } = GmqError.from(cause);
      journal.note({ e: isOutcomeUnknown(code) ? "unknown" : "refused", at: nowMs(), id, code });
    },
  );
}

async function end(): Promise<void> {
  stopping = true;
  clearInterval(ticker);
  await producer.close({ timeoutMs: spec.timeoutMs });
  // What was refused by the close is told in the turns after it.
  await new Promise((resolve) => setTimeout(resolve, 50));
  if (open === 0) journal.note({ e: "ended", at: nowMs() });
  await gmq.close();
  process.exit(open === 0 ? 0 : 1);
}

let owedSends = 0;
let lastTickMs = nowMs();
const ticker = setInterval(() => {
  const tickedMs = nowMs();
  owedSends = Math.min(owedSends + ((tickedMs - lastTickMs) * spec.ratePerSecond) / 1_000, spec.ratePerSecond / 4 + 1);
  lastTickMs = tickedMs;
  for (; owedSends >= 1 && !stopping && open < openMax && count < spec.records; owedSends--) send();
}, tickMs);

readCommands({ end: () => void end() });
process.stdout.write("producing\n");
