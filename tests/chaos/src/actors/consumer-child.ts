/** A consumer in a process of its own, to be killed, stopped and cut off. Argument: `ConsumerSpec` as JSON. Reads commands from stdin, a line each. */
import { nowMs } from "../history/events.ts";
import { consume } from "./consume.ts";
import { type ConsumerSpec, readCommands } from "./spec.ts";

const spec = JSON.parse(process.argv[2] ?? "{}") as ConsumerSpec;
const consumer = await consume(spec);

/** A wall clock that jumps: nothing that GMQ promises may hang on it. */
function jump(byMs: number): void {
  const before = Date.now.bind(Date);
  Date.now = () => before() + byMs;
}

/** An event loop that does not turn: neither heartbeats nor reads. */
function block(forMs: number): void {
  const untilMs = nowMs() + forMs;
  while (nowMs() < untilMs) Math.sqrt(untilMs);
}

readCommands({ end: () => void consumer.end().then(() => process.exit(0)), jump, block });
process.stdout.write("consuming\n");
await consumer.closed;
