/**
 * Records that may end their consumers: handed back so often that one of them is the likely cause, though nobody knows which, as an entry is taken over as a whole.
 * Each is run alone, with everything delivered behind it waiting, and its attempt is counted before it begins: a record that ends the process is found out by its own
 * count, and those that only stood beside it are not. What this process has run and outlived is no suspect here any more.
 */
import type { Lanes } from "./lanes.js";
import type { RawMessage } from "./message.js";

/** Lanes with a gate in front, which lets suspects through one by one. */
export interface SuspectGate {
  add(message: RawMessage): void;
  /** Takes out messages that have not begun. */
  remove(test: (message: RawMessage) => boolean): RawMessage[];
  isSuspect(message: RawMessage): boolean;
  /** It was run and the process lives. */
  outlived(message: RawMessage): void;
}

/** What is remembered as outlived; the oldest leave first. */
const outlivedMax = 10_000;

/** Makes the gate. `settled` resolves when what was said of finished records is stored. */
export function createSuspectGate(
  lanes: Lanes<RawMessage>,
  laneOf: (message: RawMessage) => string | undefined,
  handBacksMax: number,
  settled: () => Promise<void>,
): SuspectGate {
  let waiting: RawMessage[] = [];
  let passing = false;
  const outlived = new Set<string>();

  function isSuspect(message: RawMessage): boolean {
    return message.handBacks >= handBacksMax && !outlived.has(placeOf(message));
  }

  async function letThrough(): Promise<void> {
    passing = true;
    for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
      if (!isSuspect(head)) {
        waiting.shift();
        lanes.add(head, laneOf(head));
        continue;
      }
      await lanes.idle();
      // Forgotten meanwhile, or still the next.
      if (waiting[0] !== head) continue;
      waiting.shift();
      lanes.add(head, laneOf(head));
      await lanes.idle();
      // What it was must be known before the next may end the process.
      await settled();
    }
    passing = false;
  }

  return {
    isSuspect,
    add(message) {
      if (!passing && message.handBacks < handBacksMax) {
        lanes.add(message, laneOf(message));
        return;
      }
      waiting.push(message);
      if (!passing) void letThrough();
    },
    remove(test) {
      const removed = waiting.filter(test);
      if (removed.length > 0) waiting = waiting.filter((message) => !test(message));
      return [...lanes.remove(test), ...removed];
    },
    outlived(message) {
      const [oldest] = outlived;
      if (outlived.size >= outlivedMax && oldest !== undefined) outlived.delete(oldest);
      outlived.add(placeOf(message));
    },
  };
}

function placeOf({ assignment: { topic, partition }, offset }: RawMessage): string {
  return `${topic}/${partition}/${offset}`;
}
