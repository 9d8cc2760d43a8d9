/** A load on a GMQ of a test, and consumers in processes of their own that write down what they are given: the two are compared at the end. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { afterEach, expect } from "vitest";
import { startProcess, type TestProcess } from "./child-process.ts";
import { judge, type Load, readJournal } from "./load.ts";
import type { Topology } from "./topologies.ts";
import { waitUntil } from "./wait-until.ts";
import { temporaryFolder } from "./workspace.ts";

/** Where a test's load goes, and where its consumers write. */
export interface JournalledTopic {
  readonly topic: string;
  readonly journal: string;
}

export interface JournalledLoad {
  readonly topology: Topology;
  readonly gmq: Gmq;
  /** Starts the deployment and a client, and names a topic. */
  prepare(start: () => Promise<Topology>): Promise<JournalledTopic>;
  /** Starts a consumer of the group `g`; one record in `poisonEvery` it rejects. Resolves when it consumes. */
  consume(to: JournalledTopic, poisonEvery?: number): Promise<TestProcess>;
}

/** One deployment for each test of the file, gone with its consumers and its journal after it. */
export function useJournalledLoad(): JournalledLoad {
  const endings: (() => Promise<unknown>)[] = [];
  let current: { readonly topology: Topology; readonly gmq: Gmq } | undefined;
  const prepared = () => {
    if (current === undefined) throw new Error("prepare() comes first");
    return current;
  };

  afterEach(async () => {
    current = undefined;
    for (const end of endings.splice(0).toReversed()) await end();
  });

  return {
    get topology() {
      return prepared().topology;
    },
    get gmq() {
      return prepared().gmq;
    },
    async prepare(start) {
      const topology = await start();
      endings.push(topology.stop);
      const folder = await temporaryFolder();
      endings.push(folder.remove);
      const gmq = await connect({ brokers: topology.brokers, timeoutMs: 30_000 });
      endings.push(() => gmq.close());
      current = { topology, gmq };
      return { topic: `load-${randomUUID().slice(0, 8)}`, journal: join(folder.path, "journal") };
    },
    async consume({ topic, journal }, poisonEvery) {
      const { topology } = prepared();
      const child = join(import.meta.dirname, "consumer-child.ts");
      const poison = poisonEvery === undefined ? [] : [String(poisonEvery)];
      const args = [child, topology.brokers.join(","), topic, "g", journal, ...poison];
      const consumer = startProcess({ name: "consumer", command: process.execPath, args });
      endings.push(() => consumer.kill());
      await consumer.waitForOutput(/consuming/, 30_000);
      return consumer;
    },
  };
}

/** Waits until everything acknowledged was delivered; fails, with all numbers, when something was lost, doubled, reordered or refused. */
export async function expectKept(load: Load, journal: string): Promise<void> {
  await waitUntil(
    "everything acknowledged to be delivered",
    async () => judge(load, await readJournal(journal)).lost === 0,
    60_000,
  ).catch(() => undefined); // told with all numbers below
  expect(judge(load, await readJournal(journal))).toEqual({ lost: 0, reordered: 0, collided: 0, doubled: 0 });
  expect(Object.fromEntries(load.refused)).toEqual({});
}
