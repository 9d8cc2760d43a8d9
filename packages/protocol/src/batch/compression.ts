import { promisify } from "node:util";
import { crc32, gunzip, gzip, zstdCompress, zstdDecompress } from "node:zlib";
import { GmqError } from "../errors.js";
import { limits } from "../limits.js";
import { type CodecName, codecNumbers } from "./entry-meta.js";

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);
const zstdCompressAsync = promisify(zstdCompress);
const zstdDecompressAsync = promisify(zstdDecompress);

/** CRC-32 (IEEE 802.3) of a batch's bytes as sent. */
export function batchChecksum(bytes: Uint8Array): number {
  return crc32(bytes);
}

/** Compresses a batch off the main thread; `none` returns the bytes themselves. */
export async function compressBatch(codec: CodecName, bytes: Uint8Array): Promise<Uint8Array> {
  if (codec === "none") return bytes;
  return codec === "gzip" ? gzipAsync(bytes) : zstdCompressAsync(bytes);
}

/**
 * Unpacks a batch, to exactly `uncompressedBytes`.
 * @param codec number of gmq.v1.Codec
 * @throws GmqError `unknown_codec`, `batch_too_large` (past the limit, so a bomb is never unpacked), `batch_corrupt`
 */
export async function decompressBatch(
  codec: number,
  bytes: Uint8Array,
  uncompressedBytes: number,
): Promise<Uint8Array> {
  if (codec === codecNumbers.none) return bytes;
  if (codec !== codecNumbers.gzip && codec !== codecNumbers.zstd) {
    throw new GmqError("unknown_codec", `codec ${codec} is not known`, {
      field: "batch.codec",
      limit: "1 none, 2 gzip, 3 zstd",
    });
  }
  if (uncompressedBytes > limits.batchUncompressedBytesMax) {
    throw new GmqError("batch_too_large", `batch unpacks to ${uncompressedBytes} bytes`, {
      field: "batch.uncompressed_bytes",
      limit: `${limits.batchUncompressedBytesMax} bytes`,
    });
  }
  const unpack = codec === codecNumbers.gzip ? gunzipAsync : zstdDecompressAsync;
  const unpacked = await unpack(bytes, { maxOutputLength: Math.max(uncompressedBytes, 1) }).catch((error: unknown) => {
    throw new GmqError("batch_corrupt", "batch does not unpack to its stated size", {
      field: "batch.records",
      cause: error,
    });
  });
  if (unpacked.length !== uncompressedBytes) {
    throw new GmqError("batch_corrupt", `batch unpacks to ${unpacked.length} bytes, ${uncompressedBytes} were stated`, {
      field: "batch.uncompressed_bytes",
    });
  }
  return unpacked;
}
