import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  GetStoreStatusResponseSchema,
  LinkRequestSchema,
  LinkResponseSchema,
  SessionRequestSchema,
  SessionResponseSchema,
} from "@gmq/protocol/messages";
import { describe, expect, it } from "vitest";
import { fill, randomOf } from "../../test/random-messages.js";
import { createGatherEncoder } from "./gather-encoder.js";

/** What a message has beside defaults, as a plain object. */
function literalOf(desc: DescMessage, message: Message): Record<string, unknown> {
  const fields = reflect(desc, message);
  const plain = (field: DescField, value: unknown): unknown =>
    field.message === undefined ? value : literalOf(field.message, value as Message);
  const literal: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (!fields.isSet(field)) continue;
    const { localName, oneof } = field;
    const own =
      oneof === undefined ? message : (message as unknown as Record<string, { value: unknown }>)[oneof.localName];
    const value = (own as unknown as Record<string, unknown>)[oneof === undefined ? localName : "value"];
    const made = Array.isArray(value) ? value.map((item) => plain(field, item)) : plain(field, value);
    if (oneof === undefined) literal[localName] = made;
    else literal[oneof.localName] = { case: localName, value: made };
  }
  return literal;
}

describe("gather encoder", () => {
  it.each([SessionRequestSchema, SessionResponseSchema, LinkRequestSchema, LinkResponseSchema])(
    "writes $typeName byte for byte as protobuf-es does",
    (desc: DescMessage) => {
      const encode = createGatherEncoder(desc);
      for (let seed = 1; seed <= 400; seed++) {
        const message = fill(desc, randomOf(seed));
        const expected = Buffer.from(toBinary(desc, message, { writeUnknownFields: false }));
        expect(Buffer.concat(encode(message)).equals(expected), `seed ${seed}`).toBe(true);
      }
    },
  );

  it.each([SessionRequestSchema, SessionResponseSchema, LinkRequestSchema, LinkResponseSchema])(
    "writes a literal of $typeName that leaves out defaults as it writes the message",
    (desc: DescMessage) => {
      const encode = createGatherEncoder(desc);
      for (let seed = 1; seed <= 400; seed++) {
        const message = fill(desc, randomOf(seed));
        const literal = literalOf(desc, message);
        expect(Buffer.concat(encode(literal)).equals(Buffer.concat(encode(message))), `seed ${seed}`).toBe(true);
      }
    },
  );

  it("sends large bytes as they are and copies small ones", () => {
    const large = new Uint8Array(100_000).fill(7);
    const small = new Uint8Array(100).fill(9);
    const batch = { recordCount: 1, codec: 1, crc32: 5, uncompressedBytes: 100_000 };
    const init: MessageInitShape<typeof SessionRequestSchema> = {
      correlationId: 3,
      frame: {
        case: "publish",
        value: {
          topic: "orders",
          batches: [
            { partition: 1, batch: { ...batch, records: large } },
            { partition: 2, batch: { ...batch, records: small } },
          ],
        },
      },
    };
    const chunks = createGatherEncoder(SessionRequestSchema)(create(SessionRequestSchema, init));
    expect(chunks).toHaveLength(3);
    expect(chunks[1]).toBe(large);
    expect(chunks.some((chunk) => chunk.buffer === small.buffer)).toBe(false);
  });

  it("writes an empty message as no bytes", () => {
    expect(createGatherEncoder(LinkRequestSchema)(create(LinkRequestSchema))).toEqual([]);
  });

  it("refuses a message that no frame may hold when it is made, not when it is sent", () => {
    expect(() => createGatherEncoder(GetStoreStatusResponseSchema)).toThrowError(/details/);
  });
});
