import type { Writable } from "node:stream";
import { Command } from "ioredis";

/** Fields of an entry; the bodies go to the socket one after the other, as they are, and are one value in Redis. */
export interface AppendFields {
  readonly log: string;
  readonly id: string;
  readonly meta: Uint8Array;
  readonly recordCount: number;
  readonly bodies: readonly Uint8Array[];
}

/**
 * `XADD <log> NOMKSTREAM <id> m <meta> n <count> b <bodies>`. ioredis would join the bodies with the rest of the command: a copy of every payload.
 * Answers with the id, or null when there is no such stream. The bytes must not change until it is answered.
 */
export class AppendCommand extends Command {
  readonly #bodies: readonly Uint8Array[];
  readonly #bodyBytes: number;

  constructor({ log, id, meta, recordCount, bodies }: AppendFields) {
    const count = String(recordCount);
    super("xadd", [log, "NOMKSTREAM", id, "m", asBuffer(meta), "n", count, "b"], { replyEncoding: null });
    this.#bodies = bodies;
    this.#bodyBytes = bodies.reduce((sum, { length }) => sum + length, 0);
  }

  /** Called by ioredis when it writes the command; what is returned is written last. */
  override toWritable(socket: Writable): string | Buffer {
    // Every argument but the last: their number is one too low in what ioredis makes.
    const whole = super.toWritable(socket);
    const head = Buffer.isBuffer(whole) ? whole : Buffer.from(whole);
    const counted = Buffer.from(`*${this.args.length + 2}`);
    socket.cork();
    socket.write(counted);
    socket.write(head.subarray(head.indexOf("\r\n")));
    socket.write(`$${this.#bodyBytes}\r\n`);
    for (const body of this.#bodies) socket.write(body);
    process.nextTick(() => socket.uncork());
    return "\r\n";
  }
}

/** The same bytes as a Buffer, which ioredis writes without turning it into text. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
