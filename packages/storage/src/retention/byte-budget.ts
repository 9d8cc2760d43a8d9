import { limits } from "@gmq/protocol";

/** A bound on bytes with two watermarks. Full at the bound, it opens again only below the low watermark, so that it does not flutter. */
export interface ByteBudget {
  readonly bytesMax: number;
  /** As measured last, with what was stored since and what is on its way. */
  readonly bytes: number;
  /** `open`: no effect. `slowed`: answers are held back. `full`: appends are refused. */
  readonly state: "open" | "slowed" | "full";
  /** How long to hold an answer back: 0 up to the low watermark, then growing to `limits.throttleMsMax`. */
  readonly throttleMs: number;
  /** Takes bytes that are about to be stored; false when it is full. The batch that fills it still goes in: a batch of any size comes through. */
  take(bytes: number): boolean;
  /** What was taken is stored now, or will not be. */
  done(bytes: number, stored: boolean): void;
  /** The store itself refused: it is full whatever was measured, until a measurement is below the low watermark. */
  shut(): void;
  /** The truth, without what is on its way. */
  measured(bytes: number): void;
}

/** Makes a budget that is empty until it is measured. */
export function createByteBudget(bytesMax: number): ByteBudget {
  const low = bytesMax * limits.budgetLowWatermark;
  let stored = 0;
  let onTheWay = 0;
  let isFull = false;

  const used = (): number => stored + onTheWay;

  return {
    bytesMax,
    get bytes() {
      return used();
    },
    get state() {
      if (isFull) return "full";
      return used() > low ? "slowed" : "open";
    },
    get throttleMs() {
      const share = (used() - low) / (bytesMax - low);
      return share <= 0 ? 0 : Math.ceil(Math.min(1, share) * limits.throttleMsMax);
    },
    take(bytes) {
      if (isFull) return false;
      onTheWay += bytes;
      isFull = used() >= bytesMax;
      return true;
    },
    done(bytes, isStored) {
      onTheWay -= bytes;
      if (isStored) stored += bytes;
    },
    shut() {
      isFull = true;
    },
    measured(bytes) {
      stored = bytes;
      if (used() >= bytesMax) isFull = true;
      else if (used() <= low) isFull = false;
    },
  };
}
