import { setTimeout as sleep } from "node:timers/promises";

const waitMsMax = 20_000;
const pauseMs = 20;

/** Asks again until `check` throws nothing; past 20 s its last error is thrown. */
export async function eventually<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  const untilMs = performance.now() + waitMsMax;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
    await sleep(pauseMs);
  }
}
