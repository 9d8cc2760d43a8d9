/** Jobs on a real disk: what was saved is found again, and what a crash left beyond it is not. */
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { silentLogger } from "@gmq/log";
import { JobState, PortalJobSchema, PortalServiceStartJobRequestSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it } from "vitest";
import { jobBounds, removable } from "./job-bounds.js";
import { openJobStore } from "./job-store.js";

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "gmq-job-store-test-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const job = create(PortalJobSchema, {
  jobId: "0000-aaaa-1111",
  title: "a job",
  state: JobState.RUNNING,
  total: -1n,
  done: 9007199254740993n,
});
const request = create(PortalServiceStartJobRequestSchema, {
  work: { case: "purge", value: { topic: "t", toOffset: 5n } },
  delayMs: 7,
});

it("gives jobs back as they were saved, with every digit", async () => {
  const store = await openJobStore(data, silentLogger);
  const files = await store.create(job, request);
  const bytes = await files.append([{ item: "t / 0", outcome: "done", detail: "ünï" }], 0);
  await files.save({ ...job, outcomes: 1n }, "checkpoint", bytes, { job, outcomesBytes: 0 });
  const [saved] = await (await openJobStore(data, silentLogger)).load();
  expect(saved).toMatchObject({ request, checkpoint: "checkpoint", outcomesBytes: bytes });
  expect(saved?.job).toEqual({ ...job, outcomes: 1n });
  expect(saved?.base).toEqual({ job, outcomesBytes: 0 });
  expect(await files.outcomes(bytes)).toEqual([{ item: "t / 0", outcome: "done", detail: "ünï" }]);
});

it("cuts off what a crash left beyond the last save", async () => {
  const store = await openJobStore(data, silentLogger);
  const files = await store.create(job, request);
  const first = await files.append([{ item: "1", outcome: "done", detail: "" }], 0);
  await appendFile(join(data, "jobs", job.jobId, "outcomes.jsonl"), '{"item":"2","outc');
  expect((await files.outcomes(first)).map(({ item }) => item)).toEqual(["1"]);
  const second = await files.append([{ item: "3", outcome: "failed", detail: "" }], first);
  expect((await files.outcomes(second)).map(({ item }) => item)).toEqual(["1", "3"]);
  await files.write(Uint8Array.from([1, 2, 3]), 0);
  await files.write(Uint8Array.from([9]), 2);
  expect([...(await files.read(0, 10))]).toEqual([1, 2, 9]);
});

it("leaves out what cannot be read, and is gone with the portal when there is no data folder", async () => {
  const store = await openJobStore(data, silentLogger);
  await (await store.create(job, request)).save(job, "", 0, { job, outcomesBytes: 0 });
  await writeFile(join(data, "jobs", job.jobId, "state.json"), "{");
  expect(await store.load()).toEqual([]);
  const temporary = await openJobStore(undefined, silentLogger);
  expect(temporary.kept).toBe(false);
  const files = await temporary.create(job, request);
  await files.write(Uint8Array.from([1]), 0);
  await temporary.close();
  await expect(files.read(0, 1)).rejects.toMatchObject({ code: "ENOENT" });
});

it("forgets the oldest of too many, and the files that take too much room", () => {
  const ended = (count: number, fileBytes = 0n) =>
    Array.from({ length: count }, (_, index) => create(PortalJobSchema, { jobId: String(index), fileBytes }));
  expect(removable(ended(jobBounds.ended + 2)).map(({ jobId }) => jobId)).toEqual(["1", "0"]);
  const half = BigInt(jobBounds.fileBytes / 2);
  expect(removable(ended(4, half)).map(({ jobId }) => jobId)).toEqual(["1", "0"]);
});
