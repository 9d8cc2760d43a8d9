/**
 * Batch buffers between two batches. A buffer whose batch was answered is written again instead of left to the garbage collector: short-lived large buffers
 * cost a mark-compact each 64 MiB and their pages are zeroed by the kernel each time.
 */
import type { SpareBuffers } from "@gmq/protocol";

/** Below it, asking for memory costs less than keeping it. */
const bufferBytesMin = 32 * 1024;
const buffersMax = 64;
/** A batch takes no buffer of more than so many times its size: a few small ones must not hold the large ones. */
const looseness = 4;

/** Makes an empty store of at most `bytesMax` and 64 buffers; what has been there longest leaves first. */
export function createSpareBuffers(bytesMax: number): SpareBuffers {
  const spares: Uint8Array[] = [];
  let bytes = 0;

  return {
    take(bytesMin) {
      if (bytesMin < bufferBytesMin) return undefined;
      const at = spares.findLastIndex(({ length }) => length >= bytesMin && length <= bytesMin * looseness);
      if (at < 0) return undefined;
      const [buffer] = spares.splice(at, 1) as [Uint8Array];
      bytes -= buffer.length;
      return buffer;
    },
    give(buffer) {
      if (buffer.length < bufferBytesMin || buffer.length > bytesMax) return;
      spares.push(buffer);
      bytes += buffer.length;
      while (bytes > bytesMax || spares.length > buffersMax) bytes -= (spares.shift() as Uint8Array).length;
    },
  };
}
