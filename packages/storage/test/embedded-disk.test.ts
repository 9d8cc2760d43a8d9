/** The embedded engine on a disk that is full, and on a file that is damaged. */
import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import { diskRoom } from "../src/embedded/disk-room.js";
import { createEmbeddedEngine } from "../src/embedded.js";

let path: string;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "gmq-disk-"));
});

afterEach(() => rm(path, { recursive: true, force: true }));

/** A file system of 12 MiB in memory, which goes with the process. It needs Linux and a mount namespace of one's own. */
function onSmallDisk(command: readonly string[]) {
  const mounted = 'mount -t tmpfs -o size=12m tmpfs "$0" && exec "$@"';
  const args = ["--user", "--map-root-user", "--mount", "sh", "-c", mounted, path, ...command];
  return spawnSync("unshare", args, { encoding: "utf8", timeout: 50_000 });
}

const canMount =
  spawnSync("unshare", ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status ===
  0;

describe.skipIf(!canMount)("on a full disk (skipped where a test may not mount one)", () => {
  it("refuses producers, lets consumers go on, and takes records again; opens with no byte free", () => {
    const child = new URL("full-disk-child.mjs", import.meta.url).pathname;
    const ran = onSmallDisk([process.execPath, "--disable-warning=ExperimentalWarning", child, path]);
    expect(ran.stderr).toBe("");
    expect(JSON.parse(ran.stdout)).toEqual({
      refused: "store_full",
      reason: "read-only: store full",
      settledAll: true,
      storesAgain: true,
      opens: "t",
      noRoomForANewOne: "store_unavailable",
    });
  }, 60_000);
});

describe("the room of a disk", () => {
  const MiB = 1 << 20;

  it("is what the store has and could have, less its write-ahead log and a reserve", () => {
    const room = diskRoom("/data", () => ({ free: 600 * MiB, own: 400 * MiB }));
    expect(room.checkpointPages).toBe(4_000);
    const bytesMax = room.bytesMax() ?? 0;
    expect(bytesMax).toBeLessThan(1_000 * MiB - 47 * MiB);
    expect(bytesMax).toBeGreaterThan(1_000 * MiB - 49 * MiB);
  });

  it("is smaller when somebody else takes some, and does not change when the store does", () => {
    let disk = { free: 600 * MiB, own: 400 * MiB };
    const room = diskRoom("/data", () => disk);
    const before = room.bytesMax() ?? 0;
    disk = { free: 500 * MiB, own: 500 * MiB };
    expect(room.bytesMax()).toBe(before);
    disk = { free: 100 * MiB, own: 500 * MiB };
    expect(room.bytesMax()).toBe(before - 400 * MiB);
  });

  it("keeps a quarter of a small disk, a byte budget's least of none, and is not known where nobody tells", () => {
    const small = diskRoom("/data", () => ({ free: 12 * MiB, own: 0 }));
    expect(small.checkpointPages).toBe(191);
    expect(small.bytesMax()).toBe(9 * MiB);
    expect(diskRoom("/data", () => ({ free: 0, own: 0 })).bytesMax()).toBe(1_024);
    const untold = diskRoom("/data", () => undefined);
    expect([untold.checkpointPages, untold.bytesMax()]).toEqual([4_000, undefined]);
  });
});

describe("a file that is damaged", () => {
  async function filled(): Promise<string> {
    const engine = await createEmbeddedEngine({ path });
    await engine.topics.create("t", { partitions: 1 });
    for (let entry = 0; entry < 100; entry++)
      await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["x".repeat(20_000)])] }]);
    await engine.close();
    return join(path, "gmq.sqlite");
  }

  it("is not opened when it was cut off", async () => {
    const file = await filled();
    await truncate(file, Math.floor((await stat(file)).size / 2));
    await expect(createEmbeddedEngine({ path })).rejects.toMatchObject({
      code: "store_unavailable",
      message: expect.stringContaining("is damaged, stop and restore a backup"),
    });
  });

  it("is told as such where it is met, and the store is not ready any more", async () => {
    const file = await filled();
    const handle = await open(file, "r+");
    const noise = Buffer.alloc(8_192, 0x5a);
    // The first page is the file's head, and the next few hold the schema; what is behind them is data.
    const { size } = await handle.stat();
    for (let at = 40 * noise.length; at < size; at += noise.length) await handle.write(noise, 0, noise.length, at);
    await handle.close();
    const engine = await createEmbeddedEngine({ path });
    const [[outcome] = []] = await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["y"])] }]);
    expect(outcome).toMatchObject({
      ok: false,
      error: { code: "store_unavailable", message: expect.stringContaining("is damaged") },
    });
    expect(await engine.status()).toMatchObject({ ready: false, reason: expect.stringContaining("is damaged") });
    await engine.close();
  });
});
