/** Python's grpcio, as Debian has it (python3-grpcio, python3-protobuf), against a real standalone. `GMQ_TEST_PYTHON`: another Python that has both. */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buf, run } from "./harness/run.js";
import { root, type Standalone, startStandalone } from "./harness/standalone.js";

const python = process.env["GMQ_TEST_PYTHON"] ?? "/usr/bin/python3";
const isThere = spawnSync(python, ["-c", "import grpc, google.protobuf"]).status === 0;

describe.skipIf(!isThere)("Python", () => {
  let gmq: Standalone;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gmq-python-"));
    const built = await run(buf, ["build", join(root, "proto"), "-o", join(folder, "gmq.binpb")]);
    expect(built).toMatchObject({ code: 0 });
    gmq = await startStandalone();
  }, 60_000);

  afterAll(async () => {
    expect(await gmq.stop()).toBe(0);
    await rm(folder, { recursive: true });
  });

  async function outcome(name: string, topic = `t-${randomUUID().slice(0, 8)}`): Promise<unknown> {
    const program = join(import.meta.dirname, "python/cases.py");
    const ran = await run(python, [program, gmq.address, join(folder, "gmq.binpb"), name, topic]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    return JSON.parse(ran.stdout);
  }

  it("publishes, and hears where", async () => {
    expect(await outcome("publish", "from-python")).toEqual({
      topic: "from-python",
      offsets: [0, 1],
      samePartition: true,
    });
  });

  it("subscribes and settles; who comes after it gets what was not settled", async () => {
    expect(await outcome("subscribe")).toEqual({
      seen: [
        ["a", 0],
        ["b", 0],
        ["c", 0],
        ["b", 1],
      ],
      rest: ["b", "c"],
    });
  });

  it("hears errors with status, text and typed details", async () => {
    expect(await outcome("error")).toEqual({
      status: "INVALID_ARGUMENT",
      text: expect.stringContaining("topic"),
      typed: true,
    });
  });

  it("has deadlines", async () => {
    expect(await outcome("deadline")).toMatchObject({ status: "DEADLINE_EXCEEDED" });
  });

  it("cancels, and its channel goes on", async () => {
    expect(await outcome("cancel", "python-goes-on")).toMatchObject({ status: "CANCELLED", after: "python-goes-on" });
  });

  it("is refused what is too large, and its channel goes on", async () => {
    expect(await outcome("oversized")).toMatchObject({
      record: { status: "INVALID_ARGUMENT", typed: true },
      message: { status: "RESOURCE_EXHAUSTED" },
      after: 0,
    });
  });
});
