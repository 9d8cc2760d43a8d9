/**
 * A process that holds an embedded store and appends and settles until it is killed. Says on stdout what it was told:
 * `open`, `stored <offset> <value>`, `settled <base offset>`. Runs the built package. Arguments: folder, word that its values begin with.
 */
import { batchChecksum, codecNumbers, encodeRecords } from "@gmq/protocol";
import { createEmbeddedEngine } from "@gmq/storage/embedded";

const [, , path, word] = process.argv;
const engine = await createEmbeddedEngine({ path });
if ((await engine.topics.get("t")) === undefined) await engine.topics.create("t", { partitions: 1 });
say("open");
let number = 0;
await Promise.all([produce(), produce(), produce(), consume()]);

function say(line) {
  process.stdout.write(`${line}\n`);
}

async function produce() {
  for (;;) {
    const value = `${word}${number++}`;
    const records = encodeRecords([{ value: Buffer.from(value), timestampMs: Date.now() }]);
    const batch = {
      recordCount: 1,
      codec: codecNumbers.none,
      crc32: batchChecksum(records),
      producerId: 0n,
      producerEpoch: 0,
      firstSequence: 0n,
      uncompressedBytes: records.length,
      records,
    };
    const [[outcome]] = await engine.log.append([{ topic: "t", partition: 0, batches: [batch] }]);
    if (!outcome.ok) throw outcome.error;
    say(`stored ${outcome.firstOffset} ${value}`);
  }
}

async function consume() {
  const member = { group: "g", memberId: "m", incarnation: word, topics: ["t"], sessionTimeoutMs: 60_000 };
  const shown = { clientId: "child", clientVersion: "1", brokerId: "b", staticMember: false };
  const { partitions } = await engine.groups.join({ ...member, ...shown }, "earliest");
  const ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch: partitions[0].epoch };
  let { position } = await engine.groups.claim(ownership);
  for (;;) {
    const [fetched] = await engine.groups.fetch([{ ownership, position, bytesMax: 100_000, recordsMax: 5 }]);
    if (!fetched.ok) throw fetched.error;
    position = fetched.position;
    for (const { baseOffset, recordCount } of fetched.entries) {
      const range = { firstOffset: baseOffset, lastOffset: baseOffset + BigInt(recordCount) - 1n, verb: "ack" };
      const entries = [{ baseOffset, recordCount, ranges: [range] }];
      const [settled] = await engine.groups.settle([{ ownership, entries }]);
      if (!settled.ok) throw settled.error;
      say(`settled ${baseOffset}`);
    }
    await new Promise(setImmediate);
  }
}
