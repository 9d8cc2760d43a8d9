/** `gmq groups pending` and `gmq groups settle`: an operator sees what consumers hold and settles it, whichever broker has it. */
import { connect, type Gmq } from "@gmq/client";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type CommandLine, commandLine } from "./harness/command-line.js";
import { startServices, type Topology } from "./harness/topologies.js";

let topology: Topology;
/** Knows the first broker only, and both. */
let one: CommandLine;
let both: CommandLine;
/** Connected to the first broker, and to the second. */
let here: Gmq;
let there: Gmq;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  topology = await startServices({ brokers: 2 });
  const [first = "", second = ""] = topology.brokers;
  one = commandLine(first);
  both = commandLine(topology.brokers.join(","));
  here = await connect({ brokers: [first] });
  there = await connect({ brokers: [second] });
  await here.admin.createTopic("jobs", { partitions: 1 });
  const producer = here.producer();
  for (let job = 0; job < 8; job++) await producer.send("jobs", { value: `job-${job}` });
  await producer.close();
}, 60_000);
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(async () => {
  await here.close();
  await there.close();
  await topology.stop();
});

async function take(gmq: Gmq, group: string, records: number, mode: "exclusive" | "shared" = "exclusive") {
  const consumer = gmq.consumer("jobs", { group, mode, start: "earliest", maxInFlight: { records } });
  closers.push(() => consumer.close());
  const held = [];
  while (held.length < records) {
    const batch = await consumer.receive({ max: records, timeoutMs: 20_000 });
    held.push(...(batch?.messages ?? []));
  }
  return { consumer, held };
}

const settle = (group: string, offsets: string, verb: string, ...more: string[]): string[] => [
  ...["groups", "settle", group, "--topic", "jobs", "--partition", "0", "--offsets", offsets, "--as", verb],
  ...more,
];

it("lists how long records are with their consumer, and settles them through the broker that has them", async () => {
  await take(there, "slow", 8);
  const listed = await one.run(["groups", "pending", "slow", "--topic", "jobs", "--partition", "0"]);
  expect(listed.stdout).toMatch(/8 unsettled, held by member-/);
  expect(listed.stdout).toMatch(/OFFSET +CONSUMER +IDLE SECONDS +ATTEMPTS +DUE IN SECONDS/);
  expect(listed.stdout).toMatch(/^ +0 +\S+ \(member-\S+\) +\d+(?:\.\d)? +0 +0$/m);

  const unreachable = await one.run(settle("slow", "0-2", "ack"));
  expect(unreachable.code).toBe(1);
  expect(unreachable.errors).toMatch(/the broker \S+ has the partition: name it with --broker as well/);
  const dry = await both.run(settle("slow", "0-2,7", "ack", "--dry-run"));
  expect(dry).toMatchObject({ code: 0, errors: "" });
  expect(dry.stdout).toContain("would settle 4 of 4");
  const [done] = await both.json(settle("slow", "0-2,7", "ack"));
  expect(done).toMatchObject({ settled: 4, dryRun: false });
  const { records } = await here.admin.listPending("slow", "jobs", 0);
  expect(records.map(({ offset }) => offset)).toEqual([3n, 4n, 5n, 6n]);

  const some = await both.run(settle("slow", "0,3", "dead-letter", "--reason", "by hand", "--json"));
  expect(some.code).toBe(3);
  expect(JSON.parse(some.stdout)).toMatchObject({
    settled: 1,
    outcomes: [{ offset: "0", code: "already_settled" }, { offset: "3" }],
  });
  const { letters } = await here.admin.deadLetters("jobs", { group: "slow" });
  expect(letters.map(({ reason, offset }) => [reason, offset])).toEqual([["by hand", 3n]]);
  // Whoever holds it has the whole partition.
  const claimed = await both.run(settle("slow", "4", "claim"));
  expect(claimed.code).toBe(1);
  expect(claimed.stdout).toContain("an exclusive group has one consumer for it");
});

it("claims records of a stuck consumer of a shared group: another one gets them, at no attempt", async () => {
  const stuck = await take(here, "workers", 8, "shared");
  const consumer = here.consumer("jobs", { group: "workers", mode: "shared", start: "earliest" });
  closers.push(() => consumer.close());
  await expect
    .poll(async () => (await both.run(settle("workers", "2-3", "claim", "--dry-run"))).stdout)
    .toContain("would settle 2 of 2");
  const [done] = await both.json(settle("workers", "2-3", "claim"));
  expect(done).toMatchObject({ settled: 2 });
  const got = [];
  while (got.length < 2) got.push(...((await consumer.receive({ max: 8, timeoutMs: 20_000 }))?.messages ?? []));
  expect(got.map(({ offset, attempt, handBacks }) => [offset, attempt, handBacks])).toEqual([
    [2n, 1, 1],
    [3n, 1, 1],
  ]);
  for (const message of got) await message.ack();
  // The stuck one comes to life: what was taken from it is not its own any more, the rest is.
  const late = await Promise.allSettled(stuck.held.map((message) => message.ack()));
  expect(late.map(({ status }) => status)).toEqual(
    stuck.held.map(({ offset }) => (offset === 2n || offset === 3n ? "rejected" : "fulfilled")),
  );
  expect((await here.admin.listPending("workers", "jobs", 0)).unsettledRecords).toBe(0n);
});

it("tells which consumer of a shared group has each record, whichever broker it is at", async () => {
  const near = await take(here, "sharers", 3, "shared");
  const far = await take(there, "sharers", 5, "shared");
  const list = (line: CommandLine, ...more: string[]) =>
    line.json(["groups", "pending", "sharers", "--topic", "jobs", "--partition", "0", ...more]);
  type Listed = { records: { offset: string; consumer?: { memberId: string; clientId: string }; brokerId?: string }[] };
  const [all] = (await list(both)) as [Listed];
  const offsetsOf = (memberId: string): string[] =>
    all.records.flatMap(({ offset, consumer }) => (consumer?.memberId === memberId ? [offset] : []));
  const members = [...new Set(all.records.map(({ consumer }) => consumer?.memberId ?? ""))];
  expect(
    members
      .map(offsetsOf)
      .map((offsets) => offsets.sort())
      .sort(),
  ).toEqual([near, far].map(({ held }) => held.map(({ offset }) => String(offset)).sort()).sort());
  const [first = ""] = members;
  const [some] = (await list(both, "--consumer", first)) as [Listed];
  expect(some.records.map(({ offset }) => offset).sort()).toEqual(offsetsOf(first).sort());
  // The first broker alone knows its own, and says where the rest is.
  const [known] = (await list(one)) as [Listed];
  const unknown = known.records.filter(({ consumer }) => consumer === undefined);
  expect(unknown.map(({ offset }) => offset).sort()).toEqual(far.held.map(({ offset }) => String(offset)).sort());
  const table = await one.run(["groups", "pending", "sharers", "--topic", "jobs", "--partition", "0"]);
  expect(table.stdout).toContain(`- at broker ${unknown[0]?.brokerId}`);
});

it("passes over a broker of the list that does not answer", async () => {
  await take(there, "apart", 8);
  const [first = "", second = ""] = topology.brokers;
  const three = commandLine([first, "http://127.0.0.1:9", second].join(","));
  const settled = await three.run(settle("apart", "0-2", "ack", "--timeout", "3000"));
  expect(settled).toMatchObject({ code: 0, errors: expect.stringMatching(/127\.0\.0\.1:9 .*not asked/) });
  expect(settled.stdout).toMatch(/settled 3 of 3/);
});

it("refuses a list that makes no sense, and more than one settlement may name", async () => {
  for (const offsets of ["3-1", "a", "1-2-3", "0-1000"]) {
    const { code, errors } = await one.run(settle("slow", offsets, "ack"));
    expect([code, errors]).toEqual([2, expect.stringContaining("--offsets")]);
  }
  expect((await one.run(settle("slow", "1", "forget"))).code).toBe(2);
});
