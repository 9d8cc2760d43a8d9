import { GmqError, partitionForKey } from "@gmq/protocol";

/**
 * Chooses partitions: explicit, by key hash, or for records without a key the next partition with each turn of the producer: what is sent in one turn makes
 * one batch, and what is sent one by one spreads evenly.
 */
export interface Partitioner {
  /** @throws GmqError `partition_not_found` */
  choose(topic: string, partitions: number, key: Uint8Array | undefined, explicit: number | undefined): number;
  /** What was chosen so far is sent: the next records without a key go to the next partition. */
  endTurn(): void;
}

/** Records without a key that go to one partition in one turn, at most. */
const runLength = 512;

/** Makes a partitioner; each topic starts at a random partition, so that many producers do not all start at the first. */
export function createPartitioner(): Partitioner {
  const runs = new Map<string, { partition: number; left: number; turn: number }>();
  let turn = 0;
  return {
    choose(topic, partitions, key, explicit) {
      if (explicit !== undefined) {
        if (Number.isInteger(explicit) && explicit >= 0 && explicit < partitions) return explicit;
        throw new GmqError("partition_not_found", `the topic ${topic} has no partition ${explicit}`, {
          field: "partition",
          limit: `0 to ${partitions - 1}`,
        });
      }
      if (key !== undefined) return partitionForKey(key, partitions);
      let run = runs.get(topic);
      if (run === undefined) {
        run = { partition: Math.floor(Math.random() * partitions), left: runLength, turn };
        runs.set(topic, run);
      } else if (run.left === 0 || run.turn !== turn) {
        run.partition++;
        run.left = runLength;
        run.turn = turn;
      }
      run.left--;
      return run.partition % partitions;
    },
    endTurn() {
      turn++;
    },
  };
}
