import { describe, expect, it } from "vitest";
import { createLanes } from "./lanes.js";
import type { RawMessage } from "./message.js";
import { createSuspectGate } from "./suspects.js";

const assignment = { topic: "t", partition: 0 } as RawMessage["assignment"];
const message = (offset: number, handBacks = 0): RawMessage =>
  ({ assignment, offset: BigInt(offset), handBacks }) as RawMessage;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function start() {
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const flushes: (() => void)[] = [];
  const lanes = createLanes<RawMessage>(10, ({ offset }) => {
    begun.push(Number(offset));
    return new Promise((resolve) => ends.set(Number(offset), resolve));
  });
  const gate = createSuspectGate(
    lanes,
    () => undefined,
    3,
    () => new Promise((resolve) => flushes.push(resolve)),
  );
  const end = async (offset: number): Promise<void> => {
    ends.get(offset)?.();
    await turn();
  };
  return { gate, begun, end, flushes };
}

describe("suspects", () => {
  it("begin when nothing else runs, and hold up what came behind them until their verdict is stored", async () => {
    const { gate, begun, end, flushes } = start();
    for (const one of [message(0), message(1, 2), message(2, 3), message(3), message(4, 9), message(5)]) gate.add(one);
    await turn();
    expect(begun).toEqual([0, 1]);
    await end(0);
    expect(begun).toEqual([0, 1]);
    await end(1);
    expect(begun).toEqual([0, 1, 2]);
    await end(2);
    expect(begun).toEqual([0, 1, 2]);
    flushes.shift()?.();
    await turn();
    expect(begun).toEqual([0, 1, 2, 3]);
    await end(3);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    await end(4);
    flushes.shift()?.();
    await turn();
    gate.add(message(6));
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("that are taken out do not begin; what was outlived is none any more", async () => {
    const { gate, begun, end, flushes } = start();
    gate.add(message(0));
    gate.add(message(1, 3));
    gate.add(message(2));
    expect(gate.remove(({ offset }) => offset === 1n).map(({ offset }) => offset)).toEqual([1n]);
    await end(0);
    expect(begun).toEqual([0, 2]);
    await end(2);
    gate.outlived(message(7));
    expect(gate.isSuspect(message(7, 50))).toBe(false);
    expect(gate.isSuspect(message(8, 50))).toBe(true);
    gate.add(message(7, 50));
    await turn();
    expect(begun).toEqual([0, 2, 7]);
    gate.add(message(9));
    await turn();
    expect(begun).toEqual([0, 2, 7, 9]);
    expect(flushes).toEqual([]);
  });
});
