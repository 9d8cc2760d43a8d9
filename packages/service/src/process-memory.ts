/** How a process that passes messages on deals with memory. For processes, not for libraries: the settings are of the whole process. */
import { setFlagsFromString } from "node:v8";

/** Buffers up to this size, glibc's own upper bound, come from the heap and not from the kernel one by one. */
const heapBufferBytesMax = 32 * 1024 * 1024;
/** What glibc needs around a chunk, rounded up: a chunk above its bound teaches it nothing. */
const chunkMarginBytes = 64 * 1024;

/**
 * Makes V8 weigh payload buffers against the heap's own limit, and lets that grow to four times what lives. By default every 64 MiB of buffers start a mark-compact of
 * the whole heap, however short they lived: under load that is one each 100 ms and a third of the time of a process that only passes bytes on. Costs some 80 MB of
 * resident memory. No effect before V8 13, which does not know the first flag.
 */
export function relaxExternalMemoryLimit(): void {
  if (Number.parseInt(process.versions.v8, 10) < 13) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--heap-growing-percent=300");
}

/**
 * Makes every object begin in the young generation. By default V8 makes those of a place in the code old at once after many of that place have lived long, as they do in a
 * burst; afterwards each message leaves old objects behind, and they keep everything that they refer to until the next collection of the whole heap: at 1,000 requests a
 * second each scavenge moves megabytes and takes 5 to 15 ms in place of 1.
 */
export function beginYoung(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}

/**
 * Makes glibc keep freed memory, up to 64 MiB, for the next buffers. By default it hands all but about twice the largest buffer back, and the kernel zeroes each page of it
 * anew: for 1 MiB records that is half of the time. glibc learns its bounds from the largest chunk that was mapped and freed (mallopt(3), M_MMAP_THRESHOLD), so one is,
 * untouched. Says nothing to other allocators.
 */
export function keepFreedMemory(): void {
  Buffer.allocUnsafeSlow(heapBufferBytesMax - chunkMarginBytes).buffer.transfer(0);
}
