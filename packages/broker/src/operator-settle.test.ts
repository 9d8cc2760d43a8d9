import { GmqError } from "@gmq/protocol";
import type { EntrySettle, SettleRange, SettleRefusal } from "@gmq/storage";
import { expect, it } from "vitest";
import { createLedger, type DelayedRun } from "./ledger.js";
import { settleForOperator } from "./operator-settle.js";

/** An entry of three records that are with a consumer, and what became of what was asked. */
function held(settle: (entries: readonly EntrySettle[]) => Promise<readonly SettleRefusal[]>) {
  const ledger = createLedger();
  ledger.add(0n, 3);
  ledger.delivered({ baseOffset: 0n, recordCount: 3, from: 0, to: 3 });
  const taken: bigint[] = [];
  const given: bigint[] = [];
  const back: DelayedRun[] = [];
  const parts = {
    ledger,
    takeBack: {
      refusal: () => undefined,
      take(offset: bigint) {
        taken.push(offset);
        return () => given.push(offset);
      },
    },
    position: 3n,
    takeOut: () => [],
    bringBack: (runs: readonly DelayedRun[]) => back.push(...runs),
    settle,
  };
  const claim = (...offsets: bigint[]) => settleForOperator(parts, offsets.map(release), { takeBack: true });
  return { ledger, taken, given, back, claim };
}

const release = (offset: bigint): SettleRange => ({ firstOffset: offset, lastOffset: offset, verb: "release" });
const ack = (offset: bigint): SettleRange => ({ firstOffset: offset, lastOffset: offset, verb: "ack" });

it("takes records back before the store is asked, and delivers them again after", async () => {
  const order: string[] = [];
  const { claim, taken, given, back, ledger } = held(async () => {
    order.push(`asked with ${taken.join()}`);
    return [];
  });
  expect(await claim(2n, 0n)).toEqual([]);
  expect(order).toEqual(["asked with 2,0"]);
  expect(given).toEqual([]);
  expect(back.map(({ from, to, delayMs }) => [from, to, delayMs])).toEqual([
    [2, 3, 0],
    [0, 1, 0],
  ]);
  expect([0n, 1n, 2n].map((offset) => ledger.stateOf(offset))).toEqual(["waiting", "with consumer", "waiting"]);
});

it("leaves them with the consumer when the store does not answer", async () => {
  const { claim, taken, given, back, ledger } = held(() =>
    Promise.reject(new GmqError("store_unavailable", "the store is away")),
  );
  await expect(claim(0n, 1n)).rejects.toMatchObject({ code: "store_unavailable" });
  expect(given).toEqual(taken);
  expect(back).toEqual([]);
  expect(ledger.stateOf(1n)).toBe("with consumer");
});

it("leaves alone what the store refuses, and what another operator settles meanwhile", async () => {
  const error = new GmqError("not_delivered", "not here");
  const { claim, given, back, ledger } = held(async () => {
    ledger.settled([{ baseOffset: 0n, recordCount: 3, ranges: [ack(2n)] }]);
    return [{ firstOffset: 1n, lastOffset: 1n, error }];
  });
  expect(await claim(0n, 1n, 2n)).toEqual([{ firstOffset: 1n, lastOffset: 1n, error }]);
  expect(given).toEqual([1n]);
  expect(back.map(({ from }) => from)).toEqual([0]);
  expect([0n, 1n, 2n].map((offset) => ledger.stateOf(offset))).toEqual(["waiting", "with consumer", "settled"]);
});
