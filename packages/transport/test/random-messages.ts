/** Messages of any type that frames have, filled by chance. */
import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";

/** A small generator of numbers from 0 to 1 (mulberry32): the seed replays a failure. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Fills a message of any type with what its fields can hold, edges among it. */
export function fill<Desc extends DescMessage>(desc: Desc, random: () => number): MessageShape<Desc> {
  const message = create(desc) as Message & Record<string, unknown>;
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      const field = pick(member.fields, random);
      if (random() < 0.9) message[member.localName] = { case: field.localName, value: anyValue(field, random) };
    } else if (random() < 0.7) message[member.localName] = anyValue(member, random);
  }
  return message as MessageShape<Desc>;
}

export function pick<Item>(items: readonly Item[], random: () => number): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

function anyValue(field: DescField, random: () => number): unknown {
  if (field.fieldKind === "list") {
    const one = (): unknown =>
      field.listKind === "message"
        ? fill(field.message, random)
        : field.listKind === "enum"
          ? pick(field.enum.values, random).number
          : scalar(field.scalar, random);
    return Array.from({ length: Math.floor(random() * 4) }, one);
  }
  if (field.fieldKind === "message") return fill(field.message, random);
  if (field.fieldKind === "enum") return pick(field.enum.values, random).number;
  if (field.fieldKind === "scalar") return scalar(field.scalar, random);
  throw new Error(`${field.toString()} has no values here`);
}

export function scalar(type: ScalarType, random: () => number): unknown {
  switch (type) {
    case ScalarType.BOOL:
      return random() < 0.5;
    case ScalarType.STRING:
      return pick(["", "orders", "é€😀", "x".repeat(3_000)], random);
    case ScalarType.BYTES:
      return new Uint8Array(pick([0, 1, 127, 128, 2_047, 2_048, 70_000], random)).fill(random() * 256);
    case ScalarType.INT32:
      return pick([0, 1, -1, 127, 128, 2 ** 31 - 1, -(2 ** 31)], random);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return pick([0, 1, 127, 128, 16_384, 2 ** 21, 2 ** 28, 2 ** 32 - 1], random);
    case ScalarType.INT64:
      return pick([...lengthEdges, 0n, 1n, 127n, 128n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)], random);
    default:
      return pick([...lengthEdges, 0n, 1n, 128n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n], random);
  }
}

/** Where a varint grows by a byte, from 4 bytes on. */
const lengthEdges = [28n, 32n, 35n, 42n, 49n, 56n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits]);
