import type { Judgement } from "../check/judge.ts";
import { startRun } from "../world/run.ts";
import { startWorld } from "../world/world.ts";
import type { Scenario } from "./scenarios.ts";

/** Plays a scenario in a world of its own, with a seeded bug or without, and judges it. */
export async function play({ store, options, play: act }: Scenario, bug?: string): Promise<Judgement> {
  const seeded = bug === undefined ? {} : { bug };
  const world = await startWorld({ store, ...seeded });
  try {
    const run = await startRun(world, { ...options, ...seeded });
    try {
      await act(run);
      return await run.finish();
    } finally {
      await run.close();
    }
  } finally {
    await world.stop();
  }
}
