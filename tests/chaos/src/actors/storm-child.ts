/** Many members of one group that join together, stay a little and leave one by one. Arguments: `ConsumerSpec` as JSON, number of members. */
import { setTimeout as sleep } from "node:timers/promises";
import { consume } from "./consume.ts";
import { type ConsumerSpec, readCommands } from "./spec.ts";

const spec = JSON.parse(process.argv[2] ?? "{}") as ConsumerSpec;
const members = Number(process.argv[3] ?? "0");
const stayMs = 500;

readCommands({});
process.stdout.write("consuming\n");
await Promise.all(
  Array.from({ length: members }, async (_, index) => {
    const member = await consume({ ...spec, name: `${spec.name}-${index}` });
    await sleep(stayMs + index * 20);
    await member.end();
  }),
);
process.exit(0);
