/** The loads, once for all systems. Each warms up, says `begin`, counts for the measured time and says what it counted. */
import { setTimeout as sleep } from "node:timers/promises";
import { createHistogram } from "../measure/histogram.ts";
import type { Driver, DriverProducer } from "./driver.ts";
import { startPacer } from "./pacer.ts";
import { makePayloads, type Payloads } from "./payloads.ts";
import type { Load, TaskResult } from "./task.ts";

/** Called when the measured time begins. */
export type Begin = () => void;

/** How long what is under way may take after the measured time. */
const tailMs = 20_000;
const group = "group";

/** Runs a load to its end. @throws whatever the system throws: a round with an error counts for nothing */
export function runLoad(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  switch (load.kind) {
    case "publish":
      return publish(driver, load, begin);
    case "drain":
      return drain(driver, load, begin);
    case "inOut":
      return inOut(driver, load, begin);
    case "singles":
      return singles(driver, load, begin);
    case "latency":
      return latency(driver, load, begin);
    case "sessions":
    case "neverRead":
    case "neverStop":
      throw new Error(`${load.kind} has a runner of its own`);
  }
}

/** Producers that send one batch after the other, each awaited. Closed loop: the latency is that of a batch, at the pace that it allows. */
async function publish(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  const payloads = makePayloads(load);
  return closedLoop(load, begin, payloads, await producersOf(driver, load.producers), async (producer) => {
    await producer.sendBatch(payloads.batch(load.batchRecords));
    return load.batchRecords;
  });
}

/** `concurrency` sends of one record at once, each awaited. Closed loop. */
async function singles(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  const payloads = makePayloads(load);
  const [producer] = (await producersOf(driver, 1)) as [DriverProducer];
  const lanes = Array.from({ length: load.concurrency }, () => producer);
  const [payload] = payloads.batch(1) as [Uint8Array];
  return closedLoop(load, begin, payloads, lanes, async () => {
    await producer.send(payload);
    return 1;
  });
}

async function closedLoop(
  load: Load,
  begin: Begin,
  payloads: Payloads,
  producers: readonly DriverProducer[],
  send: (producer: DriverProducer) => Promise<number>,
): Promise<TaskResult> {
  const histogram = createHistogram();
  let measuring = false;
  let stopped = false;
  let records = 0;
  let storedRecords = 0;
  const run = async (producer: DriverProducer): Promise<void> => {
    while (!stopped) {
      const sentMs = performance.now();
      const count = await send(producer);
      storedRecords += count;
      if (!measuring) continue;
      records += count;
      histogram.add(performance.now() - sentMs);
    }
  };
  const running = Promise.all(producers.map(run));
  await Promise.race([sleep(load.warmupMs), running]);
  measuring = true;
  begin();
  const startedMs = performance.now();
  await Promise.race([sleep(load.measureMs), running]);
  measuring = false;
  const elapsedMs = performance.now() - startedMs;
  const counted = records;
  stopped = true;
  await running;
  return result(counted, payloads, elapsedMs, storedRecords, histogram.summary());
}

/** Consumers of each group read what is there already; the first fifth is their warm-up. */
async function drain(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  const payloads = makePayloads(load);
  await fill(driver, load, payloads);
  const total = load.preload * load.groups;
  const warm = Math.floor(total / 5);
  let handled = 0;
  let startedMs = 0;
  const end = Promise.withResolvers<number>();
  const handler = (): void => {
    handled++;
    if (handled === warm) {
      startedMs = performance.now();
      begin();
    } else if (handled === total) end.resolve(performance.now());
  };
  await startConsumers(driver, load, handler);
  const endedMs = await within(
    end.promise,
    load.measureMs * 20 + tailMs,
    () => `drained ${handled} of ${total} records`,
  );
  return result(total - warm, payloads, endedMs - startedMs, load.preload, undefined);
}

async function fill(driver: Driver, load: Load, payloads: Payloads): Promise<void> {
  let left = load.preload;
  const run = async (producer: DriverProducer): Promise<void> => {
    while (left > 0) {
      const count = Math.min(left, load.batchRecords);
      left -= count;
      await producer.sendBatch(payloads.batch(count));
    }
  };
  await Promise.all((await producersOf(driver, load.producers)).map(run));
}

/** Producers and consumers together; producers wait while they are `lagMax` records ahead. */
async function inOut(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  const payloads = makePayloads(load);
  let handled = 0;
  let sent = 0;
  let stored = 0;
  let stopped = false;
  let wake: (() => void)[] = [];
  await startConsumers(driver, load, () => {
    handled++;
    if (wake.length === 0 || sent - handled >= load.lagMax) return;
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  });
  const run = async (producer: DriverProducer): Promise<void> => {
    while (!stopped) {
      while (sent - handled >= load.lagMax) await new Promise<void>((resolve) => wake.push(resolve));
      sent += load.batchRecords;
      await producer.sendBatch(payloads.batch(load.batchRecords));
      stored += load.batchRecords;
    }
  };
  const running = Promise.all((await producersOf(driver, load.producers)).map(run));
  await Promise.race([sleep(load.warmupMs), running]);
  begin();
  const before = handled;
  const startedMs = performance.now();
  await Promise.race([sleep(load.measureMs), running]);
  const elapsedMs = performance.now() - startedMs;
  const records = handled - before;
  stopped = true;
  await within(
    (async () => {
      await running;
      while (handled < stored) await sleep(10);
    })(),
    tailMs,
    () => `${stored} records stored, ${handled} handled`,
  );
  return result(records, payloads, elapsedMs, stored, undefined);
}

/**
 * Publish → handler at a fixed rate. Open loop: each record carries the time at which it was due, and the latency counts from there, so a sender or a system
 * that stalls cannot hide it (coordinated omission).
 */
async function latency(driver: Driver, load: Load, begin: Begin): Promise<TaskResult> {
  const histogram = createHistogram();
  let fromMs = Number.POSITIVE_INFINITY;
  let toMs = Number.POSITIVE_INFINITY;
  let handled = 0;
  let measured = 0;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  await startConsumers(driver, load, (payload) => {
    const dueMs = Buffer.from(payload.buffer, payload.byteOffset, payload.length).readDoubleLE(0);
    handled++;
    if (dueMs < fromMs || dueMs >= toMs) return;
    measured++;
    histogram.add(performance.now() - dueMs);
  });
  const producers = await producersOf(driver, load.producers);
  const startMs = performance.now();
  const intervalMs = 1_000 / load.ratePerSecond;
  const total = Math.floor((load.warmupMs + load.measureMs) / intervalMs);
  let sent = 0;
  const allSent = Promise.withResolvers<void>();
  const pacer = startPacer(startMs, () => {
    const nowMs = performance.now();
    if (fromMs === Number.POSITIVE_INFINITY && nowMs - startMs >= load.warmupMs) {
      fromMs = nowMs;
      toMs = startMs + total * intervalMs;
      begin();
    }
    for (; sent < total && startMs + sent * intervalMs <= nowMs; sent++) {
      const payload = Buffer.alloc(load.recordBytes, 120);
      payload.writeDoubleLE(startMs + sent * intervalMs, 0);
      (producers[sent % producers.length] as DriverProducer).send(payload).catch(failed.reject);
    }
    if (sent === total) allSent.resolve();
  });
  try {
    await Promise.race([allSent.promise, failed.promise]);
  } finally {
    await pacer.stop();
  }
  await within(
    (async () => {
      while (handled < total) await sleep(5);
    })(),
    tailMs,
    () => `${total} records sent, ${handled} handled`,
  );
  return result(
    measured,
    { ...makePayloads(load), meanBytes: load.recordBytes },
    toMs - fromMs,
    total,
    histogram.summary(),
  );
}

function producersOf(driver: Driver, count: number): Promise<DriverProducer[]> {
  return Promise.all(Array.from({ length: count }, () => driver.createProducer()));
}

/** Starts the consumers of every group, one group after the other. */
async function startConsumers(driver: Driver, load: Load, handler: (payload: Uint8Array) => void): Promise<void> {
  for (let number = 0; number < load.groups; number++)
    for (let index = 0; index < load.consumers; index++)
      await driver.consume(`${group}-${number}`, index, load.consumers, handler);
}

function result(
  records: number,
  { meanBytes }: Payloads,
  elapsedMs: number,
  storedRecords: number,
  summary: TaskResult["latency"],
): TaskResult {
  return { records, payloadBytes: records * meanBytes, elapsedMs, storedRecords, latency: summary };
}

async function within<Value>(work: Promise<Value>, timeoutMs: number, state: () => string): Promise<Value> {
  const stop = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`not done within ${Math.round(timeoutMs / 1_000)} s: ${state()}`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
    late.catch(() => undefined);
  }
}
