/**
 * What happens to an embedded store on a disk of a few megabytes, told on stdout as JSON. Runs the built package. Argument: a folder on that disk.
 * 1. Producers fill it; 2. a group joins, settles everything, and the store takes records again; 3. somebody else fills the disk: the store opens all the same.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { batchChecksum, codecNumbers, encodeRecords } from "@gmq/protocol";
import { createEmbeddedEngine } from "@gmq/storage/embedded";

const [, , disk] = process.argv;
const path = join(disk, "store");
const told = {};
let engine = await createEmbeddedEngine({ path });
await engine.topics.create("t", { partitions: 1, retention: { workQueue: true } });

async function append() {
  const records = encodeRecords([{ value: Buffer.alloc(20_000, "x"), timestampMs: Date.now() }]);
  const numbers = { producerId: 0n, producerEpoch: 0, firstSequence: 0n };
  const sum = {
    recordCount: 1,
    codec: codecNumbers.none,
    crc32: batchChecksum(records),
    uncompressedBytes: records.length,
  };
  const [[outcome]] = await engine.log.append([
    { topic: "t", partition: 0, batches: [{ ...numbers, ...sum, records }] },
  ]);
  return outcome;
}

let stored = 0;
for (;;) {
  const outcome = await append();
  if (outcome.ok) stored++;
  else {
    told.refused = outcome.error.code;
    break;
  }
}
told.reason = (await engine.status()).reason;

try {
  const member = { group: "g", memberId: "m", incarnation: "1", topics: ["t"], sessionTimeoutMs: 60_000 };
  const shown = { clientId: "child", clientVersion: "1", brokerId: "b", staticMember: false };
  const { partitions } = await engine.groups.join({ ...member, ...shown }, "earliest");
  const ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch: partitions[0].epoch };
  let { position } = await engine.groups.claim(ownership);
  let settledRecords = 0;
  while (settledRecords < stored) {
    const [fetched] = await engine.groups.fetch([{ ownership, position, bytesMax: 1_000_000, recordsMax: 100 }]);
    if (!fetched.ok) throw fetched.error;
    position = fetched.position;
    for (const { baseOffset, recordCount } of fetched.entries) {
      const ranges = [{ firstOffset: baseOffset, lastOffset: baseOffset + BigInt(recordCount) - 1n, verb: "ack" }];
      const [settled] = await engine.groups.settle([{ ownership, entries: [{ baseOffset, recordCount, ranges }] }]);
      if (!settled.ok) throw settled.error;
      settledRecords += recordCount;
    }
  }
  told.settledAll = true;
  for (let tries = 0; tries < 100 && told.storesAgain !== true; tries++) {
    told.storesAgain = (await append()).ok;
    if (!told.storesAgain) await wait(100);
  }
} catch (error) {
  told.consumer = error.message;
}
await engine.close();

function fill() {
  for (const size of [1 << 20, 1 << 12, 1])
    for (let part = 0; ; part++) {
      try {
        writeFileSync(join(disk, `other-${size}-${part}`), Buffer.alloc(size));
      } catch {
        break; // no room for it
      }
    }
}
fill();
try {
  engine = await createEmbeddedEngine({ path });
  told.opens = (await engine.topics.get("t")).name;
  await engine.close();
} catch (error) {
  told.opens = error.message;
}
try {
  await createEmbeddedEngine({ path: join(disk, "new") });
} catch (error) {
  told.noRoomForANewOne = error.code ?? error.message;
}
process.stdout.write(JSON.stringify(told));
