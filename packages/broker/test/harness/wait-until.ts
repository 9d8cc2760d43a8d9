import { setTimeout as sleep } from "node:timers/promises";

/** Looks every few milliseconds until it holds. @throws after `timeoutMs`, naming `what` */
export async function waitUntil(what: string, holds: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(5);
  }
}
