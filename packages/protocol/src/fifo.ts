/** First in, first out. Taking costs no move of what is behind, and what was taken is not kept. */
export interface Fifo<Item> {
  readonly length: number;
  push(item: Item): void;
  /** What is next; undefined when it is empty. */
  peek(): Item | undefined;
  /** Takes what is next. */
  shift(): Item | undefined;
}

/** Places before the head that are kept before they are cut off. */
const passedMax = 1_024;

/** Makes an empty one. */
export function createFifo<Item>(): Fifo<Item> {
  let items: (Item | undefined)[] = [];
  let head = 0;
  return {
    get length() {
      return items.length - head;
    },
    push(item) {
      items.push(item);
    },
    peek: () => items[head],
    shift() {
      if (head === items.length) return undefined;
      const item = items[head];
      // The place would keep it alive until it is cut off.
      items[head++] = undefined;
      // Cut off once it is the greater part: each item moves at most once.
      if (head > passedMax && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
