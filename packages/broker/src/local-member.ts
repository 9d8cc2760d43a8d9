/** One member of a group that this broker speaks for: what it holds, and what a new view of the group changes about that. */
import { GmqError } from "@gmq/protocol";
import type {
  ClaimResult,
  DeskPeers,
  GroupMemberSpec,
  GroupStore,
  GroupView,
  Ownership,
  PartitionOwnership,
  TopicPartition,
} from "@gmq/storage";
import { claimWhole, deskOwnerships } from "@gmq/storage";

/** What happens to a member's partitions; called by membership, in order for each partition. */
export interface MemberEvents {
  /** The partition is claimed and may be read. `life`: a broadcast's, when the topic was made. */
  assigned(ownership: Ownership, claim: ClaimResult, life?: number): void;
  /** A desk that read the partition too is gone: `reclaim` brings what it left. Only desks hear it. */
  inherit?(partition: TopicPartition): void;
  /** The group wants it back: answer with `release`. */
  revoke(partition: TopicPartition): void;
  /** Somebody else has it: nothing of it can be settled any more. */
  lost(partition: TopicPartition, error: GmqError): void;
  /** The member is not in the group any more. */
  ended(error: GmqError): void;
}

/** A partition of the member, as a view of the group shows it; a desk's with those who read it too. */
export interface MemberPartition extends PartitionOwnership {
  readonly peers?: DeskPeers | undefined;
}

/** A partition that the group gave to the member. */
interface Holding {
  readonly partition: TopicPartition;
  readonly epoch: number;
  /** `claiming`: not read yet. `owned`: being read. `revoking`: asked back. `releasing`: given back, the group has not seen it yet. */
  state: "claiming" | "owned" | "revoking" | "releasing";
  /** By the latest view. */
  peers: DeskPeers | undefined;
}

export interface LocalMember {
  /** Brings what is held in line with the group: claims what is new, asks back or drops what is not the member's. */
  apply(own: readonly MemberPartition[]): void;
  /** Claims once more under the same epoch. @throws GmqError `fenced` when the partition is not the member's any more, and what `GroupStore.claim` does */
  reclaim(partition: TopicPartition): Promise<ClaimResult>;
  /** Marks partitions as given back; returns those that the group still counts as the member's. */
  releasing(partitions: readonly TopicPartition[]): TopicPartition[];
  /** The store refused its owner, whatever the group says: unless it passed on meanwhile, the next view claims it again. */
  refused(partition: TopicPartition, epoch: number): void;
  /** Everything held is gone. */
  dropAll(error: GmqError): void;
  /** Stops retries. */
  stop(): void;
}

/** How a member speaks to the group. */
export interface LocalMemberContext {
  readonly spec: GroupMemberSpec;
  readonly events: MemberEvents;
  readonly groups: Pick<GroupStore, "claim">;
  /** Gives partitions back that were never read. */
  giveBack(partitions: readonly TopicPartition[]): void;
  /** The claim was refused: the view was old. */
  refresh(): void;
}

const claimRetryMs = 200;

/** Makes a member that holds nothing yet. */
export function createLocalMember(context: LocalMemberContext): LocalMember {
  return new PartitionHolder(context);
}

/** A class: there is one for each idle consumer, and closures cost it more than its state. */
class PartitionHolder implements LocalMember {
  readonly #context: LocalMemberContext;
  readonly #holdings = new Map<string, Holding>();
  /** Made with the first one. */
  #timers: Set<NodeJS.Timeout> | undefined;
  #stopped = false;

  constructor(context: LocalMemberContext) {
    this.#context = context;
  }

  apply(own: readonly MemberPartition[]): void {
    const mine = new Set(own.map(placeOf));
    for (const [place, holding] of [...this.#holdings])
      if (!mine.has(place)) this.#drop(place, holding, replaced(holding.partition));
    for (const ownership of own) this.#take(placeOf(ownership), ownership);
  }

  async reclaim(partition: TopicPartition): Promise<ClaimResult> {
    const holding = this.#holdings.get(placeOf(partition));
    if (holding === undefined) throw replaced(partition);
    return claimWhole(this.#context.groups, this.#ownershipOf(holding), holding.peers);
  }

  releasing(partitions: readonly TopicPartition[]): TopicPartition[] {
    return partitions.filter((partition) => {
      const holding = this.#holdings.get(placeOf(partition));
      if (holding === undefined) return false;
      holding.state = "releasing";
      return true;
    });
  }

  refused(partition: TopicPartition, epoch: number): void {
    const place = placeOf(partition);
    if (this.#holdings.get(place)?.epoch === epoch) this.#holdings.delete(place);
    this.#context.refresh();
  }

  dropAll(error: GmqError): void {
    for (const [place, holding] of [...this.#holdings]) this.#drop(place, holding, error);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers ?? []) clearTimeout(timer);
    this.#timers = undefined;
    this.#holdings.clear();
  }

  #later(run: () => void): void {
    this.#timers ??= new Set();
    const timer = setTimeout(
      () => {
        this.#timers?.delete(timer);
        run();
      },
      claimRetryMs * (0.5 + Math.random()),
    );
    this.#timers.add(timer);
  }

  #isGone(place: string, holding: Holding): boolean {
    return this.#stopped || this.#holdings.get(place) !== holding;
  }

  async #claim(place: string, holding: Holding): Promise<void> {
    const { events, groups } = this.#context;
    const ownership = this.#ownershipOf(holding);
    const { peers } = holding;
    try {
      const result = await claimWhole(groups, ownership, peers);
      if (this.#isGone(place, holding)) return;
      if (holding.state === "revoking") {
        holding.state = "releasing";
        this.#context.giveBack([holding.partition]);
        return;
      }
      holding.state = "owned";
      events.assigned(ownership, result);
      if (lacks(holding.peers, peers)) events.inherit?.(holding.partition);
    } catch (cause) {
      if (this.#isGone(place, holding)) return;
      const error = GmqError.from(cause);
      if (error.retryable) {
        this.#later(() => void this.#claim(place, holding));
        return;
      }
      this.#holdings.delete(place);
      // The view is old: another owner, or the topic was deleted. As a rule the group's signal brings the newer one before that.
      if (error.code === "fenced" || error.code === "topic_not_found") this.#later(() => this.#context.refresh());
      else events.ended(error);
    }
  }

  #ownershipOf({ partition, epoch, peers }: Holding): Ownership {
    const { group, memberId } = this.#context.spec;
    return { ...partition, group, memberId, epoch, ...(peers === undefined ? {} : { shared: true }) };
  }

  #drop(place: string, holding: Holding, error: GmqError): void {
    this.#holdings.delete(place);
    if (holding.state === "owned" || holding.state === "revoking") this.#context.events.lost(holding.partition, error);
  }

  #take(place: string, { topic, partition, epoch, nextMemberId, peers }: MemberPartition): void {
    const { events } = this.#context;
    const held = this.#holdings.get(place);
    if (held !== undefined && held.epoch !== epoch) this.#drop(place, held, replaced(held.partition));
    const current = this.#holdings.get(place);
    if (current === undefined) {
      if (nextMemberId !== undefined) {
        this.#context.giveBack([{ topic, partition }]);
        return;
      }
      const holding: Holding = { partition: { topic, partition }, epoch, state: "claiming", peers };
      this.#holdings.set(place, holding);
      void this.#claim(place, holding);
      return;
    }
    const before = current.peers;
    current.peers = peers;
    if (nextMemberId === undefined) {
      if (current.state === "owned" && lacks(peers, before)) events.inherit?.(current.partition);
      // Given back, but the group did not hear it, and now wants it to stay: claim it again under the same epoch.
      if (current.state !== "releasing") return;
      current.state = "claiming";
      void this.#claim(place, current);
    } else if (current.state === "owned") {
      current.state = "revoking";
      events.revoke(current.partition);
    } else if (current.state === "claiming") current.state = "revoking";
    else if (current.state === "releasing") this.#context.giveBack([current.partition]);
  }
}

/** Whose each partition is, as a view of the group shows it. */
export function ownedByMember(view: GroupView): Map<string, MemberPartition[]> {
  const owned = new Map<string, MemberPartition[]>();
  for (const member of view.members)
    if (member.kind === "desk") owned.set(member.memberId, deskOwnerships(view, member));
  for (const ownership of view.partitions) {
    if (ownership.memberId === undefined) continue;
    const list = owned.get(ownership.memberId) ?? [];
    list.push(ownership);
    owned.set(ownership.memberId, list);
  }
  return owned;
}

/** Somebody who was there is there no more. */
function lacks(now: DeskPeers | undefined, before: DeskPeers | undefined): boolean {
  return now !== undefined && before?.memberIds.some((desk) => !now.memberIds.includes(desk)) === true;
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function replaced({ topic, partition }: TopicPartition): GmqError {
  return new GmqError("fenced", `${topic}/${partition} has another owner`, { field: "epoch" });
}
