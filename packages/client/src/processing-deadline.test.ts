import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startDeadline } from "./processing-deadline.js";

/** Keeps the process from doing anything else, as a debugger, a long collection or a stopped machine would. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

it("fires and rejects when it passes", async () => {
  const deadline = startDeadline(20);
  await expect(deadline.passed).rejects.toMatchObject({
    code: "deadline_exceeded",
    field: "processingTimeoutMs",
    limit: "20 ms",
  });
  expect(deadline.signal.aborted).toBe(true);
  expect(() => deadline.extend()).toThrow("longer than 20 ms");
});

it("lets a handler end first whose wait was over while the process stood still", async () => {
  // Node fires timers of one length together: the second deadline comes with the first, before the shorter wait that ended earlier.
  const first = startDeadline(300);
  await sleep(290);
  const second = startDeadline(300);
  const handler = sleep(20).then(second.stop);
  standStill(700);
  await expect(first.passed).rejects.toMatchObject({ code: "deadline_exceeded" });
  await handler;
  await sleep(20);
  expect(second.signal.aborted).toBe(false);
});

it("passes for a handler that is not done by then either", async () => {
  const deadline = startDeadline(50);
  standStill(100);
  await expect(deadline.passed).rejects.toMatchObject({ code: "deadline_exceeded" });
});

it("is moved by an extension, and by one that comes in its last turn", async () => {
  const deadline = startDeadline(50);
  const extended = sleep(49).then(() => deadline.extend(60_000));
  standStill(200);
  await extended;
  await sleep(20);
  expect(deadline.signal.aborted).toBe(false);
  deadline.stop();
});
