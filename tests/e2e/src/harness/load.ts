/** A load of numbered records, what was acknowledged of it, and what consumers wrote down: the two are compared at the end. */
import { readFile } from "node:fs/promises";
import { type Gmq, GmqError } from "@gmq/client";

/** A record that GMQ has acknowledged. */
export interface Acknowledged {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly sequence: number;
}

export interface Load {
  readonly acknowledged: readonly Acknowledged[];
  /** Sends that were rejected, by error code. */
  readonly refused: ReadonlyMap<string, number>;
}

const filler = "x".repeat(100);

/** Sends `count` records under `keys` keys, as fast as the producer takes them; `sent` is called with how many were begun. */
export async function sendLoad(
  gmq: Gmq,
  topicName: string,
  { count, keys, perTurn = 200 }: { readonly count: number; readonly keys: number; readonly perTurn?: number },
  sent: (begun: number) => Promise<void> | void = () => undefined,
): Promise<Load> {
  const producer = gmq.producer({ timeoutMs: 60_000 });
  const acknowledged: Acknowledged[] = [];
  const refused = new Map<string, number>();
  const sends: Promise<void>[] = [];
  for (let sequence = 0; sequence < count; sequence++) {
    const key = `k${sequence % keys}`;
    sends.push(
      producer.send(topicName, { key, value: `${sequence} ${filler}` }).then(
        ({ partition, offset }) => void acknowledged.push({ partition, offset, key, sequence }),
        (error: unknown) => {
          const { code } = GmqError.from(error);
          refused.set(code, (refused.get(code) ?? 0) + 1);
        },
      ),
    );
    if (sequence % perTurn === perTurn - 1) {
      await sent(sequence + 1);
      await new Promise(setImmediate);
    }
  }
  await Promise.all(sends);
  await producer.close();
  return { acknowledged, refused };
}

/** A line of a consumer's journal. */
export interface Delivered {
  readonly place: string;
  readonly key: string;
  readonly sequence: number;
}

/** Reads a journal; a line cut off by a kill is left out. */
export async function readJournal(file: string): Promise<Delivered[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [partition, offset, key = "", sequence] = line.split(" ");
      return { place: `${partition}/${offset}`, key, sequence: Number(sequence) };
    });
}

/** What is wrong between a load and its journal; all zero when every promise was kept. */
export function judge(load: Load, delivered: readonly Delivered[]) {
  const seen = new Set(delivered.map(({ place }) => place));
  const lost = load.acknowledged.filter(({ partition, offset }) => !seen.has(`${partition}/${offset}`));
  const places = new Set(load.acknowledged.map(({ partition, offset }) => `${partition}/${offset}`));
  // First deliveries of a key come in the order in which it was sent; what comes again comes after.
  let reordered = 0;
  const lastOfKey = new Map<string, number>();
  const firsts = new Set<string>();
  for (const { key, sequence, place } of delivered) {
    if (firsts.has(place)) continue;
    firsts.add(place);
    if (sequence < (lastOfKey.get(key) ?? -1)) reordered++;
    lastOfKey.set(key, sequence);
  }
  const sequences = delivered.map(({ sequence }) => sequence);
  return {
    lost: lost.length,
    reordered,
    /** Two records at one place. */
    collided: load.acknowledged.length - places.size,
    /** One record stored at two places: a producer's retry that was not recognised. */
    doubled: firsts.size - new Set(sequences).size,
  };
}
