/**
 * Computes a plan from the model of docs/scaling.md:
 *   node bench/src/capacity-plan.ts --records-per-s 1000000 --record-bytes 512 --groups 1 --retention-s 600
 */
import { parseArgs } from "node:util";
import { choices, planFor } from "./capacity/model.ts";

const { values } = parseArgs({
  options: {
    "records-per-s": { type: "string", default: "1000000" },
    "record-bytes": { type: "string", default: "512" },
    groups: { type: "string", default: "1" },
    "retention-s": { type: "string", default: "600" },
    "records-per-entry": { type: "string", default: String(choices.recordsPerEntry) },
    "core-share": { type: "string", default: String(choices.coreShare) },
  },
});

function positive(name: keyof typeof values, least = Number.MIN_VALUE): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= least) return value;
  throw new RangeError(`--${name} is ${values[name]}: expected a number, ${least === 0 ? "0 or more" : "above 0"}`);
}

const demand = {
  recordsPerS: positive("records-per-s"),
  recordBytes: positive("record-bytes"),
  groups: positive("groups", 0),
  retentionS: positive("retention-s", 0),
};
const chosen = { ...choices, recordsPerEntry: positive("records-per-entry"), coreShare: positive("core-share") };
console.log(JSON.stringify({ demand, choices: chosen, plan: planFor(demand, chosen) }, undefined, 2));
