/** What a job on dead letters keeps of what a broker tells. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { silentLogger } from "@gmq/log";
import {
  AdminService,
  AdminServiceRedriveRequestSchema,
  AdminServiceRedriveResponseSchema,
  BrokerService,
  type PortalJob,
  PortalJobSchema,
  PortalServiceStartJobRequestSchema,
  type RedriveProgressSchema,
} from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { BrokerClients, Brokers } from "../calls/brokers.js";
import { createJobRun, type RunState } from "./create-job-run.js";
import { redriveJob } from "./group-jobs.js";
import { jobBounds } from "./job-bounds.js";
import { openJobStore } from "./job-store.js";

type Frame = NonNullable<MessageInitShape<typeof AdminServiceRedriveResponseSchema>["event"]>;

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "gmq-group-jobs-test-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

/** Runs a redrive of which the broker tells so much. */
async function run(frames: readonly Frame[]): Promise<{ job: PortalJob; outcomes: string[] }> {
  const transport = createRouterTransport(({ service }) => {
    service(AdminService, {
      async *redrive() {
        for (const event of frames) yield create(AdminServiceRedriveResponseSchema, { event });
      },
    });
  });
  const clients: BrokerClients = {
    url: "http://broker",
    admin: createClient(AdminService, transport),
    broker: createClient(BrokerService, transport),
  };
  const { signal } = new AbortController();
  const brokers: Brokers = {
    urls: [clients.url],
    read: (ask) => ask(clients, signal),
    write: (ask) => ask(clients),
    find: () => Promise.resolve(clients),
    statuses: () => Promise.resolve([]),
  };
  const request = create(AdminServiceRedriveRequestSchema, { topic: "t", group: "g" });
  const job = create(PortalJobSchema, { jobId: "0000-aaaa-1111", total: -1n });
  const store = await openJobStore(data, silentLogger);
  const files = await store.create(
    job,
    create(PortalServiceStartJobRequestSchema, { work: { case: "redrive", value: request } }),
  );
  const state: RunState = { job, files, checkpoint: "", outcomesBytes: 0, base: { job, outcomesBytes: 0 } };
  const running = createJobRun(state, brokers, signal);
  try {
    await redriveJob(request).run(running);
  } finally {
    await running.finish();
  }
  const outcomes = await files.outcomes(state.outcomesBytes);
  return { job: state.job, outcomes: outcomes.map(({ item, outcome, detail }) => `${outcome} ${item}: ${detail}`) };
}

const progress = (value: MessageInitShape<typeof RedriveProgressSchema>): Frame => ({ case: "progress", value });

it("names what was moved, what was passed over and what stays, in the broker's order", async () => {
  const { job, outcomes } = await run([
    {
      case: "failure",
      value: { place: { partition: 0, offset: 3n }, error: { code: "topic_full", message: "no room" } },
    },
    progress({
      moved: 2n,
      skipped: 1n,
      failed: 1n,
      movedLetters: [
        { place: { partition: 0, offset: 4n }, to: { topic: "t", partition: 1, offset: 9007199254740993n } },
        { place: { partition: 1, offset: 0n } },
      ],
      skippedLetters: [{ place: { partition: 0, offset: 5n }, redrives: 3 }],
    }),
    progress({ moved: 2n, skipped: 1n, failed: 1n, done: true }),
  ]);
  expect(outcomes).toEqual([
    "failed 0 · 3: topic_full: no room",
    "done 0 · 4: stored at t / 1 @ 9007199254740993",
    "done 1 · 0: ",
    "skipped 0 · 5: redriven 3 times before",
  ]);
  expect(job).toMatchObject({ done: 2n, skipped: 1n, failed: 1n, total: 4n, outcomes: 4n, outcomesLeftOut: 0n });
});

it("counts what a broker of before does not name", async () => {
  const { job, outcomes } = await run([
    progress({ moved: 100n, skipped: 7n }),
    progress({ moved: 150n, skipped: 8n, done: true }),
  ]);
  expect(outcomes).toEqual([]);
  expect(job).toMatchObject({ done: 150n, skipped: 8n, total: 158n, outcomes: 0n, outcomesLeftOut: 0n });
});

it("keeps as many names as a job keeps, and counts the rest", async () => {
  const letters = jobBounds.outcomes + 100;
  const frames = Array.from({ length: letters / 100 }, (_, frame) =>
    progress({
      moved: BigInt((frame + 1) * 100),
      done: (frame + 1) * 100 === letters,
      movedLetters: Array.from({ length: 100 }, (_, index) => ({
        place: { partition: 0, offset: BigInt(frame * 100 + index) },
      })),
    }),
  );
  const { job, outcomes } = await run(frames);
  expect(outcomes.length).toBe(jobBounds.outcomes);
  expect(outcomes.at(-1)).toBe(`done 0 · ${jobBounds.outcomes - 1}: `);
  expect(job).toMatchObject({ done: BigInt(letters), outcomes: BigInt(jobBounds.outcomes), outcomesLeftOut: 100n });
});
