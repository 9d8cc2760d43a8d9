/** Runs cases: every round goes once through all systems of a case before the next round begins, so that a busy minute of the machine hits them all. */
import { loadavg } from "node:os";
import type { SystemName } from "./client/task.ts";
import { type RoundResult, runRound } from "./processes/round.ts";
import { createServers, type Servers, whyAbsent } from "./processes/servers.ts";
import type { Progress } from "./report/progress.ts";
import type { Case } from "./suite.ts";

/** All rounds of one system in one case. */
export interface SystemRounds {
  readonly system: SystemName;
  readonly rounds: readonly RoundResult[];
  /** Set: it failed, its rounds are not to be used. */
  readonly failure: string | undefined;
}

export interface CaseResult {
  readonly case: Case;
  readonly systems: readonly SystemRounds[];
  /** Load average over one minute when the case ended: above the machine's cores somebody else was at work too. */
  readonly loadAverage: number;
}

export interface RunOptions {
  readonly rounds: number;
  readonly systems: readonly SystemName[] | undefined;
  readonly profileFolder: string | undefined;
  readonly nodeArgs: readonly string[];
}

/** Runs the cases one after the other. A system that fails is left out of its case and named in the result. */
export async function runSuite(
  cases: readonly Case[],
  { rounds, systems, profileFolder, nodeArgs }: RunOptions,
  progress: Progress,
): Promise<CaseResult[]> {
  const absent = new Map<SystemName, string>();
  for (const system of new Set(cases.flatMap(({ subject, baselines }) => [subject, ...baselines]))) {
    const why = await whyAbsent(system);
    if (why === undefined) continue;
    absent.set(system, why);
    progress.note(`${system} is skipped: ${why}`);
  }
  const servers = await createServers({ profileFolder, nodeArgs });
  const results: CaseResult[] = [];
  let number = 0;
  try {
    for (const item of cases) {
      const wanted = item.baselines.filter((name) => systems === undefined || systems.includes(name));
      const present = [item.subject, ...wanted].filter((name) => !absent.has(name));
      const found = new Map<SystemName, RoundResult[]>(present.map((name) => [name, []]));
      const failures = new Map<SystemName, string>();
      for (let round = 0; round < rounds; round++) {
        for (const system of present) {
          if (failures.has(system)) continue;
          progress.doing(`${item.name}: ${system}, round ${round + 1} of ${rounds}`);
          try {
            const load = { ...item.load, ...item.smaller?.[system] };
            found.get(system)?.push(await roundOf(servers, system, load, ++number, profileFolder));
          } catch (error) {
            const message = error instanceof Error ? error.message : String(error);
            failures.set(system, message);
            progress.note(`${item.name}: ${system} failed: ${message}`);
          }
        }
      }
      const all = Array.from(found, ([system, own]) => ({ system, rounds: own, failure: failures.get(system) }));
      const result = { case: item, systems: all, loadAverage: loadavg()[0] as number };
      results.push(result);
      progress.finished(result);
    }
    return results;
  } finally {
    progress.stop();
    await servers.stop();
  }
}

function roundOf(
  servers: Servers,
  system: SystemName,
  load: Case["load"],
  number: number,
  profileFolder: string | undefined,
): Promise<RoundResult> {
  // Only the subject's client is of interest in a profile.
  const folder = system === "gmq" || system.startsWith("engine") ? profileFolder : undefined;
  return runRound(servers, { system, topic: `bench-${process.pid}-${number}`, load, profileFolder: folder });
}
