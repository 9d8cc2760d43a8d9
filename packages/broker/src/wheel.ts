/** One timer for thousands of waits: what is due at about the same time is told together, and a wait is an entry in a set. */

/** What waits in a wheel; made with slot -1. */
export interface WheelItem {
  /** Where it waits; the wheel's own. */
  slot: number;
}

export interface Wheel<Item extends WheelItem> {
  /** Waits until `dueMs`, by `performance.now()`, in place of what it waited for before. It may be told `earlyMs` before that, together with others, and a slot late. */
  put(item: Item, dueMs: number, earlyMs?: number): void;
  /** Waits no more. */
  take(item: Item): void;
  /** Nothing waits any more. */
  close(): void;
}

const slotMs = 100;
/** Items due within so many slots are told together, where they may be early. */
const gatheredSlotsMax = 10;

/** Makes an empty wheel; `due` is given all that is due in one turn, and puts back what waits again. */
export function createWheel<Item extends WheelItem>(due: (items: readonly Item[]) => void): Wheel<Item> {
  const slots = new Map<number, Set<Item>>();
  let timer: NodeJS.Timeout | undefined;
  let timerSlot = Number.POSITIVE_INFINITY;
  let isClosed = false;

  function arm(slot: number): void {
    clearTimeout(timer);
    timerSlot = slot;
    // A timer may run up to a millisecond before its time.
    timer =
      slot === Number.POSITIVE_INFINITY
        ? undefined
        : setTimeout(turn, Math.max(1, slot * slotMs - performance.now() + 1));
  }

  function turn(): void {
    const now = Math.floor(performance.now() / slotMs);
    const items: Item[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, waiting] of slots) {
      if (slot > now) {
        next = Math.min(next, slot);
        continue;
      }
      slots.delete(slot);
      for (const item of waiting) {
        item.slot = -1;
        items.push(item);
      }
    }
    arm(next);
    if (items.length > 0) due(items);
  }

  function take(item: Item): void {
    const waiting = slots.get(item.slot);
    item.slot = -1;
    // An empty slot stays until its turn: what follows it may wait for the same time.
    waiting?.delete(item);
  }

  return {
    put(item, dueMs, earlyMs = 0) {
      take(item);
      if (isClosed) return;
      const gathered = Math.min(gatheredSlotsMax, Math.floor(earlyMs / slotMs));
      const exact = Math.ceil(dueMs / slotMs);
      item.slot = gathered > 1 ? Math.floor(dueMs / slotMs / gathered) * gathered : exact;
      const waiting = slots.get(item.slot);
      if (waiting === undefined) slots.set(item.slot, new Set([item]));
      else waiting.add(item);
      if (item.slot < timerSlot) arm(item.slot);
    },
    take,
    close() {
      isClosed = true;
      clearTimeout(timer);
      slots.clear();
    },
  };
}
