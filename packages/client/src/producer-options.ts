import { type CodecName, GmqError, limits } from "@gmq/protocol";
import { inRange } from "./checked-values.js";

/** How a producer batches, waits and retries. */
export interface ProducerOptions {
  /** Wait this long for more records of a partition; default 0: what is sent in one turn goes together, and more gathers while batches are in flight. */
  readonly lingerMs?: number;
  /** Bytes of a batch, before compression; 1 to 4 MiB, default 255 KiB: with what Redis keeps beside it a batch just fits a size class of its allocator. */
  readonly batchBytesMax?: number;
  /** Bytes of records that are not answered yet; past it `send` waits. Default 32 MiB. */
  readonly bufferedBytesMax?: number;
  /**
   * Bytes of sends that wait for room or for their schema, about: 1 KiB a record beside its encoded bytes; of what is not encoded yet (a `sendBatch`, a schema that takes its
   * time) only values of bytes or text count. Past it a send that would wait is refused with `resource_exhausted`: nothing of it was sent. Default 256 MiB.
   */
  readonly waitingBytesMax?: number;
  /** Default `none`. */
  readonly compression?: CodecName;
  /** True (default): a record is stored once, however often it had to be sent. */
  readonly idempotent?: boolean;
  /** Deadline of a send that names none; default 30,000 ms. */
  readonly timeoutMs?: number;
}

/** What the options come to. */
export interface ProducerSettings {
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly bufferedBytesMax: number;
  readonly waitingBytesMax: number;
  readonly compression: CodecName;
  readonly idempotent: boolean;
  readonly timeoutMs: number;
}

/** Checks what the user gave. @throws GmqError `invalid_argument`, `unknown_codec` */
export function checkProducer(options: ProducerOptions): ProducerSettings {
  const {
    lingerMs = 0,
    batchBytesMax = 255 * 1024,
    bufferedBytesMax = 32 * 1024 * 1024,
    waitingBytesMax = 256 * 1024 * 1024,
    compression = "none",
    idempotent = true,
    timeoutMs = 30_000,
  } = options;
  inRange("lingerMs", lingerMs, 0, 60_000);
  inRange("batchBytesMax", batchBytesMax, 1, limits.batchBytesMax);
  inRange("bufferedBytesMax", bufferedBytesMax, 1, Number.MAX_SAFE_INTEGER);
  inRange("waitingBytesMax", waitingBytesMax, 1, Number.MAX_SAFE_INTEGER);
  inRange("timeoutMs", timeoutMs, 1, 2_147_483_647);
  if (!["none", "gzip", "zstd"].includes(compression)) {
    throw new GmqError("unknown_codec", `compression ${JSON.stringify(compression)} is not known`, {
      field: "compression",
      limit: "none, gzip, zstd",
    });
  }
  return { lingerMs, batchBytesMax, bufferedBytesMax, waitingBytesMax, compression, idempotent, timeoutMs };
}
