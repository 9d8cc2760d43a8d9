import { type ErrorCode, limits } from "@gmq/protocol";

/** A partition in a few lines: what an engine has to answer, for comparing. */
export interface ReferenceLog {
  append(words: readonly string[], identity: ReferenceIdentity, isCorrupt: boolean): ReferenceOutcome;
  /** Values stored, by offset. */
  readonly values: readonly string[];
}

export interface ReferenceIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: bigint;
  readonly dedupeId: string | undefined;
}

export type ReferenceOutcome = { readonly firstOffset: bigint; readonly duplicate: boolean } | ErrorCode;

interface Sent {
  readonly identity: ReferenceIdentity;
  readonly count: number;
  readonly firstOffset: bigint;
}

/** Makes an empty one. */
export function createReferenceLog(): ReferenceLog {
  const values: string[] = [];
  const sent: Sent[] = [];

  /** Looks through everything that was ever stored, in place of remembering. */
  function judge(count: number, identity: ReferenceIdentity): ReferenceOutcome | undefined {
    const { producerId, producerEpoch, firstSequence, dedupeId } = identity;
    const twin = sent.find((known) => dedupeId !== undefined && known.identity.dedupeId === dedupeId);
    if (twin !== undefined) return { firstOffset: twin.firstOffset, duplicate: true };
    if (producerId === 0n) return undefined;
    const own = sent.filter((known) => known.identity.producerId === producerId);
    const last = own.at(-1);
    if (last === undefined || producerEpoch > last.identity.producerEpoch) {
      return firstSequence === 0n ? undefined : "out_of_order";
    }
    if (producerEpoch < last.identity.producerEpoch) return "producer_fenced";
    if (firstSequence === last.identity.firstSequence + BigInt(last.count)) return undefined;
    const again = own
      .filter((known) => known.identity.producerEpoch === producerEpoch)
      .slice(-limits.batchesPerProducer)
      .find((known) => known.identity.firstSequence === firstSequence && known.count === count);
    return again === undefined ? "out_of_order" : { firstOffset: again.firstOffset, duplicate: true };
  }

  return {
    append(words, identity, isCorrupt) {
      if (isCorrupt) return "batch_corrupt";
      const verdict = judge(words.length, identity);
      if (verdict !== undefined) return verdict;
      const firstOffset = BigInt(values.length);
      values.push(...words);
      sent.push({ identity, count: words.length, firstOffset });
      return { firstOffset, duplicate: false };
    },
    values,
  };
}
