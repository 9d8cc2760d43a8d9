/** What an engine's log and the owner's side of a group mean, in a few lines: one partition, one group, arrays. Engines are compared with it. */

/** A stored entry. */
interface ModelEntry {
  readonly base: number;
  readonly values: readonly string[];
  /** Of the group: undefined until handed out; then one character a record. */
  states: string | undefined;
  readonly attempts: number[];
}

export type AppendVerdict = { readonly first: number; readonly duplicate: boolean } | { readonly code: string };

/** The last batches that a producer is remembered by. */
const rememberedBatches = 8;

export class EngineModel {
  readonly entries: ModelEntry[] = [];
  end = 0;
  position = 0;
  epoch = 0;
  owner = "";
  private readonly producers = new Map<number, { epoch: number; next: number; recent: [number, number, number][] }>();

  append(values: readonly string[], producer: number, epoch: number, sequence: number): AppendVerdict {
    if (producer > 0) {
      const known = this.producers.get(producer);
      if (known === undefined || epoch > known.epoch) {
        if (sequence !== 0) return { code: "out_of_order" };
        this.producers.set(producer, { epoch, next: 0, recent: [] });
      } else if (epoch < known.epoch) return { code: "producer_fenced" };
      else if (sequence > known.next) return { code: "out_of_order" };
      else if (sequence < known.next) {
        const stored = known.recent.find(([first, count]) => first === sequence && count === values.length);
        return stored === undefined ? { code: "out_of_order" } : { first: stored[2], duplicate: true };
      }
      const own = this.producers.get(producer) as { next: number; recent: [number, number, number][] };
      own.recent.push([sequence, values.length, this.end]);
      if (own.recent.length > rememberedBatches) own.recent.shift();
      own.next = sequence + values.length;
    }
    const first = this.end;
    this.entries.push({ base: first, values, states: undefined, attempts: values.map(() => 0) });
    this.end += values.length;
    return { first, duplicate: false };
  }

  /** False: fenced. */
  claim(member: string, epoch: number): boolean {
    if (epoch < this.epoch || (epoch === this.epoch && member !== this.owner)) return false;
    this.epoch = epoch;
    this.owner = member;
    return true;
  }

  owns(member: string, epoch: number): boolean {
    return member === this.owner && epoch === this.epoch;
  }

  /** Entries handed out and not wholly settled, in order. */
  get pending(): ModelEntry[] {
    return this.entries.filter(({ states }) => states?.includes(".") === true);
  }

  /** The engine said that it handed these out: the next ones, without a gap. */
  handOut(count: number): ModelEntry[] {
    const next = this.entries.filter(({ states }) => states === undefined).slice(0, count);
    for (const entry of next) entry.states = ".".repeat(entry.values.length);
    const last = next.at(-1);
    if (last !== undefined) this.position = last.base + last.values.length;
    return next;
  }

  /** The refusal's code, undefined when it is taken. */
  settle(entry: ModelEntry, from: number, to: number, verb: "ack" | "retry" | "release"): string | undefined {
    if (entry.states === undefined) return "not_delivered";
    // An entry that is wholly settled is gone: what is said of it again has no effect, and only a failure comes too late.
    if (!entry.states.includes(".")) return verb === "retry" ? "already_settled" : undefined;
    const part = entry.states.slice(from, to + 1);
    if (verb === "retry" && part.includes("a")) return "already_settled";
    for (let index = from; index <= to; index++) {
      if (verb === "retry") entry.attempts[index] = (entry.attempts[index] ?? 0) + 1;
      if (verb === "ack") entry.attempts[index] = 0;
    }
    if (verb === "ack")
      entry.states = entry.states.slice(0, from) + "a".repeat(part.length) + entry.states.slice(to + 1);
    return undefined;
  }

  get lag(): number {
    const unsettled = this.pending.reduce((sum, { states = "" }) => sum + states.split(".").length - 1, 0);
    return this.end - this.position + unsettled;
  }
}
