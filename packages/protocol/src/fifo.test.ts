import { expect, test } from "vitest";
import { createFifo } from "./fifo.js";

test("gives back in order whatever is put in and taken in between", () => {
  const fifo = createFifo<number>();
  expect([fifo.shift(), fifo.peek(), fifo.length]).toEqual([undefined, undefined, 0]);
  let put = 0;
  let taken = 0;
  for (let round = 0; round < 5_000; round++) {
    for (let more = 0; more < 3; more++) fifo.push(put++);
    expect(fifo.peek()).toBe(taken);
    for (let more = 0; more < 2; more++) expect(fifo.shift()).toBe(taken++);
    expect(fifo.length).toBe(put - taken);
  }
  while (taken < put) expect(fifo.shift()).toBe(taken++);
  expect([fifo.shift(), fifo.length]).toEqual([undefined, 0]);
});
