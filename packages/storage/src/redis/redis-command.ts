import type { Writable } from "node:stream";
import { Command } from "ioredis";
import type { RedisClient } from "./redis-client.js";

/** What Redis answers: integers, bulk strings and lists of them. */
export type Reply = number | Buffer | null | readonly Reply[];

/** ioredis' command as it is overridden here: to its own types some of this is private. */
interface BaseCommand {
  args: readonly (string | Buffer)[];
  promise: Promise<unknown>;
  isResolved: boolean;
  isSettled: boolean;
  isTraced: boolean;
  stringifyArguments(): void;
  toWritable(socket: Writable): string | Buffer;
}

const Base = Command as unknown as new (
  name: string,
  args: readonly (string | Buffer)[],
  options: { readonly replyEncoding: null },
) => BaseCommand;

const none: readonly (string | Buffer)[] = [];

/**
 * A command of the hot path. ioredis' own assigns a function to a property (`this.reject = (error) => …`) for each command. V8 takes such a function for a method that
 * will live long and makes it in the old generation, where it keeps the command with all of its bytes until the next collection of the whole heap: every scavenge moved
 * everything that had been sent since the one before. This one has methods, and lets go of its bytes with the answer.
 */
export class RedisCommand extends Base {
  declare private answer: PromiseWithResolvers<Reply>;
  #bodies: readonly Uint8Array[] | undefined;

  /** `bodies`: one more argument, in parts that go to the socket one after the other, as they are; they must not change until it is answered. */
  constructor(name: string, args: readonly (string | Buffer)[], bodies?: readonly Uint8Array[]) {
    super(name, args, { replyEncoding: null });
    this.#bodies = bodies;
    // Nobody listens to ioredis' trace, whose promise would be a second one to look after.
    this.isTraced = true;
  }

  /** Writes it; the answer is as Redis gave it. @throws Redis' error, or that of a lost connection */
  send(redis: RedisClient): Promise<Reply> {
    void redis.sendCommand(this as unknown as Command);
    return this.answer.promise;
  }

  /** Called by ioredis' constructor. */
  initPromise(): void {
    this.isResolved = false;
    this.isSettled = false;
    this.stringifyArguments();
    this.answer = Promise.withResolvers();
    this.promise = this.answer.promise;
  }

  /** Called by ioredis with the answer. */
  resolve(reply: Reply): Promise<Reply> {
    this.isResolved = true;
    this.#settled();
    this.answer.resolve(reply);
    return this.answer.promise;
  }

  /** Called by ioredis; a cluster puts its own before it, and calls this when it has given up. */
  reject(error: Error): void {
    this.#settled();
    this.answer.reject(error);
  }

  #settled(): void {
    this.isSettled = true;
    this.args = none;
    this.#bodies = undefined;
  }

  /** Called by ioredis when it writes the command; what is returned is written last. */
  override toWritable(socket: Writable): string | Buffer {
    const whole = super.toWritable(socket);
    if (this.#bodies === undefined) return whole;
    // Every argument but the bodies: their number is one too low in what ioredis makes.
    const head = Buffer.isBuffer(whole) ? whole : Buffer.from(whole);
    let bodyBytes = 0;
    for (const { length } of this.#bodies) bodyBytes += length;
    socket.cork();
    socket.write(`*${this.args.length + 2}`);
    socket.write(head.subarray(head.indexOf("\r\n")));
    socket.write(`$${bodyBytes}\r\n`);
    for (const body of this.#bodies) socket.write(body);
    process.nextTick(() => socket.uncork());
    return "\r\n";
  }
}

/** The same bytes as a Buffer, which ioredis writes without turning it into text. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
