/** One number of 64 bits, seen as two words of 32 or as a bigint: V8 has no cheaper way from one to the other. Whoever writes it reads it before anyone else writes. */

export const words = new Uint32Array(2);
export const signed = new BigInt64Array(words.buffer);
export const unsigned = new BigUint64Array(words.buffer);

/** Places of the words, by the machine's order of bytes. */
export const low = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
export const high = 1 - low;
