/** Where hashes put the partitions of a cell: a simulation with as many partitions and processes as a plan has. */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type { Cell } from "./model.ts";

const slotOf = createRequire(import.meta.url)("cluster-key-slot") as (key: string) => number;
const slots = 16_384;

/** What the busiest process has of the partitions, as a multiple of the mean. */
export interface Placement {
  readonly storages: number;
  readonly masters: number;
}

/** Places one topic's partitions: by rendezvous hashing over storage services, as brokers do, and by Redis' own slots over masters with equal parts of them. */
export function placementOf({
  partitions,
  storages,
  masters,
}: Pick<Cell, "partitions" | "storages" | "masters">): Placement {
  const names = Array.from({ length: partitions }, (_, partition) => `events/${partition}`);
  return {
    storages: busiest(names, storages, (name) => rendezvous(name, storages)),
    masters: busiest(names, masters, (name) => Math.floor((slotOf(`gmq:{${name}}:log`) * masters) / slots)),
  };
}

function rendezvous(name: string, count: number): number {
  let best = 0;
  let bestScore = -1;
  for (let index = 0; index < count; index++) {
    const score = createHash("md5").update(`http://storage-${index}:50052 ${name}`).digest().readUInt32LE(0);
    if (score > bestScore) [best, bestScore] = [index, score];
  }
  return best;
}

function busiest(names: readonly string[], count: number, place: (name: string) => number): number {
  const held = new Array<number>(count).fill(0);
  for (const name of names) {
    const at = place(name);
    held[at] = (held[at] ?? 0) + 1;
  }
  return Math.max(...held) / (names.length / count);
}
