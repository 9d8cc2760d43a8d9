import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
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
