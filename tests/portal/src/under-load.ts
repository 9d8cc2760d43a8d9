/** The pages under load: 5,000 topics, and a tail of a topic that gets 20,000 records a second. Minutes long, so not part of `make test`. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";

const tailSeconds = Number(process.env["GMQ_TEST_TAIL_SECONDS"] ?? 60);
const recordsPerSecond = 20_000;

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(async () => await stage?.stop());

it("finds one of 5,000 topics in less than 200 ms", async () => {
  const { admin } = stage.seed.gmq;
  for (let team = 0; team < 50; team++) {
    const names = Array.from({ length: 100 }, (_, index) => `team-${team}-topic-${index}`);
    await Promise.all(names.map((name) => admin.createTopic(name, { partitions: 1, timeoutMs: 60_000 })));
  }
  const page = await stage.browser.open(stage.url("/topics"));
  await page.getByText("5,004 topics").waitFor({ timeout: 60_000 });
  const tookMs = await page.evaluate(async () => {
    const input = document.querySelector<HTMLInputElement>("[data-filter]");
    const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set;
    const startedAt = performance.now();
    write?.call(input, "team-49-topic-99");
    input?.dispatchEvent(new Event("input", { bubbles: true }));
    while (document.querySelectorAll("tbody tr:not([aria-hidden])").length !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return performance.now() - startedAt;
  });
  console.log(`one of 5,004 topics found in ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(200);
  await page.close();
});

it(`tails ${recordsPerSecond} records a second and accounts for every one`, async () => {
  const page = await stage.browser.open(stage.url("/topics/orders/messages?live=1"));
  await page.getByText("Waiting for the next record").waitFor();
  await watchLongTasks(page);
  const producer = stage.seed.gmq.producer();
  const startedAt = performance.now();
  let sent = 0;
  while (performance.now() - startedAt < tailSeconds * 1_000) {
    const due = Math.floor(((performance.now() - startedAt) * recordsPerSecond) / 1_000) - sent;
    const sends = Array.from({ length: Math.min(4_000, due) }, (_, index) =>
      producer.send("orders", { key: `key-${index}`, value: "x".repeat(120) }),
    );
    await Promise.all(sends);
    sent += sends.length;
    if (sends.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await producer.close();
  const counted = page.getByText(`${sent.toLocaleString("en")} appended`);
  await counted.waitFor();
  const [, shown, dropped] = /· ([\d,]+) shown · ([\d,]+) dropped/.exec((await counted.textContent()) ?? "") ?? [];
  const number = (text: string | undefined): number => Number(text?.replaceAll(",", ""));
  expect(number(shown) + number(dropped)).toBe(sent);
  const { longMsPerSecond, heapMb } = await measured(page, tailSeconds);
  console.log(
    `tail: ${sent} in ${tailSeconds} s, ${shown} shown; long tasks ${longMsPerSecond.toFixed(1)} ms/s, heap ${heapMb.toFixed(1)} MB`,
  );
  expect(longMsPerSecond).toBeLessThan(50);
  expect(heapMb).toBeLessThan(100);
});

it("keeps 8 tabs usable while one of them tails a topic that is written to", async () => {
  const tail = await stage.browser.open(stage.url("/topics/orders/messages?live=1"));
  await tail
    .getByText(/Waiting for the next record|appended/)
    .first()
    .waitFor();
  const producer = stage.seed.gmq.producer();
  let writing = true;
  const written = (async () => {
    while (writing) {
      await Promise.all(
        Array.from({ length: 400 }, (_, index) =>
          producer.send("orders", { key: `key-${index}`, value: "x".repeat(120) }),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const tabs = await Promise.all(Array.from({ length: 7 }, () => stage.browser.open(stage.url("/topics"))));
  const tookMs: number[] = [];
  for (const tab of tabs) {
    await tab.bringToFront();
    const startedAt = performance.now();
    await tab.getByLabel("Filter topics by name").fill("payments");
    await tab.getByRole("link", { name: "payments", exact: true }).click();
    await tab.getByRole("table", { name: "Partitions of payments" }).waitFor();
    tookMs.push(Math.round(performance.now() - startedAt));
  }
  console.log(`8 tabs, one of them tailing: a topic found and opened in ${tookMs.join(", ")} ms`);
  writing = false;
  await written;
  await producer.close();
  // A tab that is not looked at closes its tail: the others' calls do not wait for it.
  for (const tab of [...tabs, tail]) await tab.close();
  expect(Math.max(...tookMs)).toBeLessThan(5_000);
});

interface Watched {
  longTasksMs: number;
  readonly memory: { readonly usedJSHeapSize: number };
}

async function watchLongTasks(page: Page): Promise<void> {
  await page.evaluate(() => {
    const watched = performance as unknown as Watched;
    watched.longTasksMs = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) watched.longTasksMs += duration;
    }).observe({ entryTypes: ["longtask"] });
  });
}

async function measured(page: Page, seconds: number): Promise<{ longMsPerSecond: number; heapMb: number }> {
  const [longMs, heapBytes] = await page.evaluate(() => {
    const { longTasksMs, memory } = performance as unknown as Watched;
    return [longTasksMs, memory.usedJSHeapSize] as const;
  });
  return { longMsPerSecond: longMs / seconds, heapMb: heapBytes / 1e6 };
}
