/**
 * gRPC's length-prefixed messages (PROTOCOL-HTTP2 of the gRPC project):
 *
 *   message = compressed-flag(1 byte: 0 or 1) length(4 bytes, big endian) bytes
 *
 * Only flag 0 is spoken here: batches compress themselves.
 */
import { GmqError } from "@gmq/protocol";

export const prefixBytes = 5;

/** The prefix of a message of `length` bytes. */
export function messagePrefix(length: number): Uint8Array {
  const prefix = new Uint8Array(prefixBytes);
  prefix[1] = length >>> 24;
  prefix[2] = (length >>> 16) & 0xff;
  prefix[3] = (length >>> 8) & 0xff;
  prefix[4] = length & 0xff;
  return prefix;
}

/** Cuts chunks of a stream into messages. */
export interface MessageParser {
  /**
   * Takes a chunk and calls `message` for each message that it completes, in order. The bytes given are never written again: a message inside one
   * chunk is a view of it, one over several chunks is joined once.
   * @throws GmqError `frame_too_large` before the bytes are gathered, `malformed_frame` for a compressed or unknown flag
   */
  push(chunk: Uint8Array): void;
  /** True when the stream may end here: no message is half read. */
  readonly atBoundary: boolean;
}

/** Makes a parser that refuses messages over `bytesMax`. */
export function createMessageParser(bytesMax: number, message: (bytes: Uint8Array) => void): MessageParser {
  return new ChunkParser(bytesMax, message);
}

/** A class: each connection has one, and closures and getters of a literal cost an idle one more than its state. */
class ChunkParser implements MessageParser {
  readonly #bytesMax: number;
  readonly #message: (bytes: Uint8Array) => void;
  /** Pieces of a message that is not whole; undefined: none. */
  #gathered: Uint8Array[] | undefined;
  #gatheredBytes = 0;
  #needed = prefixBytes;

  constructor(bytesMax: number, message: (bytes: Uint8Array) => void) {
    this.#bytesMax = bytesMax;
    this.#message = message;
  }

  get atBoundary(): boolean {
    return this.#gathered === undefined;
  }

  push(chunk: Uint8Array): void {
    if (this.#gathered === undefined) {
      this.#keep(this.#cut(chunk));
      return;
    }
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes < this.#needed) return;
    const joined = Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#keep(this.#cut(joined));
  }

  #keep(rest: Uint8Array): void {
    if (rest.length === 0) return;
    this.#gathered = [rest];
    this.#gatheredBytes = rest.length;
  }

  /** Delivers what is whole in `bytes`, returns what is left over. */
  #cut(bytes: Uint8Array): Uint8Array {
    let position = 0;
    while (bytes.length - position >= prefixBytes) {
      const end = position + prefixBytes + lengthOf(bytes, position, this.#bytesMax);
      if (end > bytes.length) {
        this.#needed = end - position;
        return position === 0 ? bytes : bytes.subarray(position);
      }
      const start = position + prefixBytes;
      position = end;
      this.#message(bytes.subarray(start, end));
    }
    this.#needed = prefixBytes;
    return position === 0 ? bytes : bytes.subarray(position);
  }
}

function lengthOf(bytes: Uint8Array, at: number, bytesMax: number): number {
  if (bytes[at] !== 0) {
    throw new GmqError("malformed_frame", `message flag ${bytes[at]} is not allowed`, {
      field: "grpc message flag",
      limit: "0",
    });
  }
  const length =
    (bytes[at + 1] as number) * 0x1000000 +
    (((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number));
  if (length > bytesMax) {
    throw new GmqError("frame_too_large", `a frame of ${length} bytes was announced`, {
      field: "frame",
      limit: `${bytesMax} bytes`,
    });
  }
  return length;
}
