import { create, toBinary } from "@bufbuild/protobuf";
import { limits } from "@gmq/protocol";
import {
  ClaimPartitionRequestSchema,
  ClaimPartitionResponseSchema,
  GetPartitionProgressRequestSchema,
  GetPendingRequestSchema,
  GetPendingResponseSchema,
} from "@gmq/protocol/messages";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimWhole } from "../src/claim-whole.js";
import { retry } from "../src/conformance/consumer.js";
import { type ConformanceContext, createContext } from "../src/conformance/context.js";
import type { ClaimPage, Ownership, PartitionProgress } from "../src/engine.js";
import { pagesOf } from "../src/pages-of.js";
import { createUnaryCalls } from "../src/service/unary-calls.js";
import { memoryTarget, redisTarget, remoteTarget } from "./conformance-targets.js";

const delayMs = 3_600_000;

/** Has records fail and returns the ownership of who takes over. */
async function fail(context: ConformanceContext, records: number): Promise<Ownership> {
  const name = await context.topic();
  const perBatch = 50_000;
  const values = new Array<string>(perBatch).fill("");
  for (let stored = 0; stored < records; stored += perBatch) await context.append(name, values);
  const { ownership, fetch, settle } = await context.consume(name);
  for (let failed = 0; failed < records; ) {
    for (const entry of await fetch()) {
      const last = entry.baseOffset + BigInt(entry.recordCount) - 1n;
      expect(await settle(entry, [retry(entry.baseOffset, last, delayMs)])).toEqual([]);
      failed += entry.recordCount;
    }
  }
  return { ...ownership, memberId: "m2", epoch: ownership.epoch + 1 };
}

describe("a partition of which very many records failed", () => {
  let redis: Awaited<ReturnType<typeof redisTarget>>;
  const contexts: ConformanceContext[] = [];

  async function over(name: string): Promise<ConformanceContext> {
    const context = await createContext(remoteTarget(name === "redis" ? redis : memoryTarget));
    contexts.push(context);
    return context;
  }

  beforeAll(async () => {
    redis = await redisTarget();
  });

  afterAll(async () => {
    for (const context of contexts) await context.dispose();
    await redis.stop();
  });

  it.each(["redis", "embedded"])(
    "passes on over a link, with every retry time: %s",
    async (name) => {
      const context = await over(name);
      const records = 1_000_000;
      const next = await fail(context, records);
      const { groups } = context.engine;
      for (const look of ["pending", "progress"] as const) {
        const looks: number[] = [];
        const ask = (page: ClaimPage): Promise<Pick<PartitionProgress, "pending" | "next"> | undefined> =>
          groups[look](next.group, next, page);
        for await (const page of pagesOf(ask))
          looks.push(page.pending.reduce((sum, { attempts }) => sum + attempts.length, 0));
        expect(looks.reduce((sum, items) => sum + items)).toBe(records);
        expect(Math.max(...looks)).toBeLessThanOrEqual(limits.claimItemsMax);
      }
      const calls: number[] = [];
      const counted: Pick<typeof context.engine.groups, "claim"> = {
        async claim(...asked) {
          const answer = await context.engine.groups.claim(...asked);
          calls.push(answer.pending.reduce((sum, { attempts }) => sum + attempts.length, 0));
          return answer;
        },
      };
      const { pending, position, endOffset } = await claimWhole(counted, next);
      expect([position, endOffset]).toEqual([BigInt(records), BigInt(records)]);
      expect(Math.max(...calls)).toBeLessThanOrEqual(limits.claimItemsMax);
      let offset = 0n;
      for (const { baseOffset, recordCount, attempts, due, handBacks } of pending) {
        expect(baseOffset).toBe(offset);
        expect(attempts.map(({ index }) => index)).toEqual(Array.from({ length: recordCount }, (_, index) => index));
        expect(due).toHaveLength(recordCount);
        expect(Math.max(...due.map(({ inMs }) => inMs))).toBeLessThanOrEqual(delayMs);
        expect(Math.min(...due.map(({ inMs }) => inMs))).toBeGreaterThan(0);
        expect(handBacks.takeOvers).toBe(1);
        offset += BigInt(recordCount);
      }
      expect(offset).toBe(BigInt(records));
    },
    120_000,
  );

  it("is told whole to a broker that knows no pages, as far as a frame goes", async () => {
    const context = await createContext(memoryTarget);
    contexts.push(context);
    const ownership = await fail(context, 100_000);
    const calls = createUnaryCalls(context.engine);
    const request = { group: ownership.group, topic: ownership.topic, partition: 0, memberId: "m2" };
    const asked = create(ClaimPartitionRequestSchema, { ownership: { ...request, epoch: BigInt(ownership.epoch) } });
    const answer = create(ClaimPartitionResponseSchema, await calls.claimPartition(asked));
    expect(answer.next).toBeUndefined();
    expect(answer.pending.flatMap(({ attempts }) => attempts)).toHaveLength(100_000);
    expect(toBinary(ClaimPartitionResponseSchema, answer).length).toBeLessThan(limits.frameBytesMax);
    const page = create(ClaimPartitionRequestSchema, { ownership: asked.ownership!, page: {} });
    expect((await calls.claimPartition(page)).next).toBe(50_000n);
    const place = { group: request.group, topic: request.topic, partition: 0 };
    const told = create(GetPendingResponseSchema, await calls.getPending(create(GetPendingRequestSchema, place)));
    expect(told.next).toBeUndefined();
    expect(told.pending.flatMap(({ attempts }) => attempts)).toHaveLength(100_000);
    const where = await calls.getPartitionProgress(create(GetPartitionProgressRequestSchema, place));
    expect(where).toMatchObject({ begun: true, position: 100_000n });
    expect(where.next).toBeUndefined();
    expect(where.pending?.flatMap(({ attempts }) => attempts)).toHaveLength(100_000);
  });
});
