/** How much a store may hold on its disk so that consumers go on when producers have filled it: to settle and to trim, SQLite needs room as well. */
import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { limits } from "@gmq/protocol";
import { pageBytes, storeFile } from "./schema.js";

/** A page in the write-ahead log has 24 bytes before it. */
const walPageBytes = pageBytes + 24;
const walPagesMax = 4_000;
const walPagesMin = 64;
/** Kept free beside the write-ahead log, for what consumers write. */
const reserveBytesMax = 16 << 20;
/** Of a small disk the write-ahead log may take this part, and the reserve as much. */
const smallDiskShare = 1 / 8;
/** Bounds go by whole steps, so that a block more or less in use makes no new one. */
const stepBytes = 1 << 18;

/** A disk as a store sees it. */
export interface DiskBytes {
  /** In use by nobody. */
  readonly free: number;
  /** The store's own files, the write-ahead log included. */
  readonly own: number;
}

/** How a store goes on a disk. */
export interface DiskRoom {
  /** Pages at which the write-ahead log goes into the file: 4,000 (31 MiB), fewer where store and free room were less than 251 MiB at the opening. */
  readonly checkpointPages: number;
  /**
   * Bytes in use in the file at which producers are refused: all that the store has and could have now, less its write-ahead log and a reserve of 16 MiB (an eighth
   * of a small disk). Undefined where the system does not tell.
   */
  bytesMax(): number | undefined;
}

/** Looks at the disk of a data folder, now and with each call of `bytesMax`. */
export function diskRoom(path: string, look: (path: string) => DiskBytes | undefined = lookAtDisk): DiskRoom {
  const first = look(path);
  const checkpointPages =
    first === undefined
      ? walPagesMax
      : Math.max(
          walPagesMin,
          Math.min(walPagesMax, Math.floor(((first.free + first.own) * smallDiskShare) / walPageBytes)),
        );
  return {
    checkpointPages,
    bytesMax() {
      const disk = look(path);
      if (disk === undefined) return undefined;
      const all = disk.free + disk.own;
      const kept = checkpointPages * walPageBytes + Math.min(reserveBytesMax, all * smallDiskShare);
      return Math.max(limits.byteBudgetMin, Math.floor((all - kept) / stepBytes) * stepBytes);
    },
  };
}

function lookAtDisk(path: string): DiskBytes | undefined {
  const file = join(path, storeFile);
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    // Some network file systems say 0 of everything.
    return blocks === 0 ? undefined : { free: bavail * bsize, own: bytesOf(file) + bytesOf(`${file}-wal`) };
  } catch {
    // Not every file system tells; the status of the store says why (`disk_problem`).
    return undefined;
  }
}

/** The log comes with the first write and goes when the store is closed: what is not there takes nothing. */
function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
