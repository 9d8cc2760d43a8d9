import { setTimeout as sleep } from "node:timers/promises";

/** Asks again and again (every 20 ms) until the answer is truthy, and returns it. @throws after `timeoutMs`, naming `what` and the last error */
export async function waitUntil<T>(
  what: string,
  ask: () => Promise<T> | T,
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const answer = await ask();
      if (answer) return answer as NonNullable<T>;
    } catch (error) {
      last = error;
    }
    await sleep(20);
  }
  throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
}

/** Waits until `GET <url>/readyz` answers 200. */
export async function waitUntilReady(url: string, timeoutMs = 15_000): Promise<void> {
  await waitUntil(`${url}/readyz`, async () => (await fetch(`${url}/readyz`)).status === 200, timeoutMs);
}
