/**
 * What is under way, by number. A Map that is filled and emptied with each request makes garbage that outlives it: V8 gives it a new table every few changes, each table
 * refers to the next, and once one of them is old, everything that was ever under way is kept and moved until the next collection of the whole heap.
 * Slots that are written again refer to nothing but what is under way.
 */

export interface InFlight<Value> {
  readonly size: number;
  /** Takes a value in; its number, 1 to 2^32 - 1, is not given again for as long as it is here and hardly soon afterwards. */
  add(value: Value): number;
  /** Undefined: it is not here any more, or never was. */
  get(number: number): Value | undefined;
  /** Takes it out and returns it. */
  remove(number: number): Value | undefined;
  /** What has been here longest. */
  oldest(): Value | undefined;
  /** Takes everything out, what has been here longest first. */
  drain(): Value[];
}

const numberMax = 0xffff_ffff;
const slotsMin = 16;

/** Makes an empty table; it grows with what is under way at once, and does not shrink. */
export function createInFlight<Value>(): InFlight<Value> {
  let numbers: number[] = new Array<number>(slotsMin).fill(0);
  let values: (Value | undefined)[] = new Array<Value | undefined>(slotsMin).fill(undefined);
  let size = 0;
  let last = 0;

  /** A number's slot: the low bits of it. Only a number whose slot is free is given. */
  function slotOf(number: number): number {
    return (number & (numbers.length - 1)) >>> 0;
  }

  /** At least half of the slots stay free, so the next free number is near. */
  function grow(): void {
    const [oldNumbers, oldValues] = [numbers, values];
    numbers = new Array<number>(oldNumbers.length * 2).fill(0);
    values = new Array<Value | undefined>(oldNumbers.length * 2).fill(undefined);
    oldNumbers.forEach((number, slot) => {
      if (number === 0) return;
      numbers[slotOf(number)] = number;
      values[slotOf(number)] = oldValues[slot];
    });
    oldValues.fill(undefined);
  }

  function inOrder(): number[] {
    // The numbers go round: those above the last one given are older than those below it.
    return numbers.filter((number) => number !== 0).sort((a, b) => Number(a <= last) - Number(b <= last) || a - b);
  }

  function remove(number: number): Value | undefined {
    const slot = slotOf(number);
    if (number === 0 || numbers[slot] !== number) return undefined;
    const value = values[slot];
    numbers[slot] = 0;
    values[slot] = undefined;
    size--;
    return value;
  }

  return {
    get size() {
      return size;
    },
    add(value) {
      if (size * 2 >= numbers.length) grow();
      do last = last === numberMax ? 1 : last + 1;
      while (numbers[slotOf(last)] !== 0);
      numbers[slotOf(last)] = last;
      values[slotOf(last)] = value;
      size++;
      return last;
    },
    get: (number) => (number !== 0 && numbers[slotOf(number)] === number ? values[slotOf(number)] : undefined),
    remove,
    oldest() {
      const [number] = inOrder();
      return number === undefined ? undefined : values[slotOf(number)];
    },
    drain: () => inOrder().map((number) => remove(number) as Value),
  };
}
