import { GmqError } from "@gmq/protocol";
import type { CallOptions } from "./call-options.js";

/** Bytes that a producer may hold; who finds it full waits in line. */
export interface ByteBudget {
  /** Takes bytes at once when there is room and nobody waits; false: use `wait`. */
  take(bytes: number): boolean;
  /** Waits in line for room. @throws GmqError `cancelled`, `deadline_exceeded` */
  wait(bytes: number, options: CallOptions): Promise<void>;
  give(bytes: number): void;
  readonly usedBytes: number;
  /** Refuses everybody who waits. */
  close(error: GmqError): void;
}

interface Waiter {
  readonly bytes: number;
  resolve(): void;
  reject(error: GmqError): void;
}

/** Makes a budget. A single record over the whole budget is let through when nothing else is held: a bound on the sum, not on one. */
export function createByteBudget(bytesMax: number): ByteBudget {
  const line: Waiter[] = [];
  let usedBytes = 0;

  const fits = (bytes: number): boolean => usedBytes === 0 || usedBytes + bytes <= bytesMax;

  function admit(): void {
    for (let first = line[0]; first !== undefined && fits(first.bytes); first = line[0]) {
      line.shift();
      usedBytes += first.bytes;
      first.resolve();
    }
  }

  return {
    take(bytes) {
      if (line.length > 0 || !fits(bytes)) return false;
      usedBytes += bytes;
      return true;
    },
    wait(bytes, { signal, timeoutMs }) {
      return new Promise((resolve, reject) => {
        const timer =
          timeoutMs === undefined
            ? undefined
            : setTimeout(
                () =>
                  leave(
                    new GmqError(
                      "deadline_exceeded",
                      "the producer's byte budget stayed full; the record was not sent",
                      { field: "bufferedBytesMax", limit: `${bytesMax} bytes` },
                    ),
                  ),
                timeoutMs,
              );
        const abort = (): void =>
          leave(
            new GmqError("cancelled", "the send was given up before the record was sent", { cause: signal?.reason }),
          );
        const done = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
        };
        const waiter: Waiter = {
          bytes,
          resolve() {
            done();
            resolve();
          },
          reject(error) {
            done();
            reject(error);
          },
        };
        function leave(error: GmqError): void {
          const at = line.indexOf(waiter);
          if (at >= 0) line.splice(at, 1);
          waiter.reject(error);
          admit();
        }
        signal?.addEventListener("abort", abort, { once: true });
        line.push(waiter);
        if (signal?.aborted === true) abort();
      });
    },
    give(bytes) {
      usedBytes -= bytes;
      admit();
    },
    get usedBytes() {
      return usedBytes;
    },
    close(error) {
      for (const waiter of line.splice(0)) waiter.reject(error);
    },
  };
}
