import type { TopicPartition } from "../engine.js";

/** A member as assignment sees it. */
export interface Assignee {
  readonly memberId: string;
  readonly topics: readonly string[];
}

/** A partition and who owns it now, if anybody. */
export interface AssignablePartition extends TopicPartition {
  readonly memberId: string | undefined;
}

/** What one member has been given so far. */
interface Load {
  readonly memberId: string;
  /** Indexes of partitions by topic, in the order in which they came. */
  readonly owned: Map<string, number[]>;
  size: number;
}

/** A member that could be given a partition of `topic` by the member of the step before; the first step has neither. */
interface Step {
  readonly load: Load;
  readonly topic: string;
  readonly before: Step | undefined;
}

/**
 * Who should own each partition, in the order given; undefined where no member subscribes to the topic. Pure: the same input gives the same answer.
 * Every partition goes to one member that subscribes to its topic. Balanced: sizes of members with the same topics differ by at most one; with differing
 * topics no exchange, however long, could make them more even. Sticky: a partition stays with its owner unless it has to move for that.
 */
export function assign(
  members: readonly Assignee[],
  partitions: readonly AssignablePartition[],
): (string | undefined)[] {
  const loads = loadsOf(members);
  const takersOf = subscribers(members, loads);
  const owners = new Map<number, Load>();

  function give(index: number, topic: string, load: Load): void {
    const list = load.owned.get(topic);
    if (list === undefined) load.owned.set(topic, [index]);
    else list.push(index);
    load.size++;
    owners.set(index, load);
  }

  partitions.forEach(({ topic, memberId }, index) => {
    const owner = memberId === undefined ? undefined : loads.get(memberId);
    if (owner !== undefined && takersOf.get(topic)?.includes(owner) === true) give(index, topic, owner);
  });
  partitions.forEach(({ topic }, index) => {
    const taker = owners.has(index) ? undefined : lightest(takersOf.get(topic) ?? []);
    if (taker !== undefined) give(index, topic, taker);
  });
  // Sorted in place after each path: it is nearly in order already, which is cheap.
  const bySize = [...loads.values()];
  // Each path lowers the sum of squared sizes, so this ends; the bound is a guard against a defect.
  for (let paths = 0; paths <= partitions.length * loads.size; paths++) {
    bySize.sort((left, right) => right.size - left.size || compareIds(left, right));
    let step = findPath(bySize, takersOf);
    if (step === undefined) break;
    // From the end, so that nobody passes on what it was given just now. What came last moves first: what a member has had longest stays.
    for (; step.before !== undefined; step = step.before) {
      const giver = step.before.load;
      const index = giver.owned.get(step.topic)?.pop() as number;
      giver.size--;
      give(index, step.topic, step.load);
    }
  }
  return partitions.map((_, index) => owners.get(index)?.memberId);
}

/**
 * The way on which one partition each moves along, from the member that has most to one that has at least two fewer: the shortest, to the one with the
 * fewest among equals. Told by its last step.
 */
function findPath(bySize: readonly Load[], takersOf: ReadonlyMap<string, readonly Load[]>): Step | undefined {
  const fewest = bySize.at(-1)?.size ?? 0;
  // What one search reached in vain need not be searched again: who starts there has no more to give.
  const reached = new Set<Load>();
  const topicsSeen = new Set<string>();
  for (const start of bySize) {
    if (start.size - fewest < 2) return undefined;
    if (reached.has(start)) continue;
    reached.add(start);
    let ends: Step[] = [{ load: start, topic: "", before: undefined }];
    while (ends.length > 0) {
      ends = ends.flatMap((end) => stepsFrom(end, takersOf, reached, topicsSeen));
      const best = lightest(ends.map(({ load }) => load));
      if (best !== undefined && start.size - best.size >= 2) return ends.find(({ load }) => load === best);
    }
  }
  return undefined;
}

function stepsFrom(
  before: Step,
  takersOf: ReadonlyMap<string, readonly Load[]>,
  reached: Set<Load>,
  topicsSeen: Set<string>,
): Step[] {
  const steps: Step[] = [];
  for (const [topic, owned] of before.load.owned) {
    if (owned.length === 0 || topicsSeen.has(topic)) continue;
    topicsSeen.add(topic);
    for (const load of takersOf.get(topic) ?? []) {
      if (reached.has(load)) continue;
      reached.add(load);
      steps.push({ load, topic, before });
    }
  }
  return steps;
}

function lightest(loads: readonly Load[]): Load | undefined {
  let best: Load | undefined;
  for (const load of loads) if (best === undefined || load.size < best.size) best = load;
  return best;
}

function loadsOf(members: readonly Assignee[]): Map<string, Load> {
  const sorted = [...members].sort(compareIds);
  return new Map(sorted.map(({ memberId }) => [memberId, { memberId, owned: new Map(), size: 0 }]));
}

/** Who may take a topic's partitions, in the order of ids. */
function subscribers(members: readonly Assignee[], loads: ReadonlyMap<string, Load>): Map<string, Load[]> {
  const byTopic = new Map<string, Load[]>();
  for (const { memberId, topics } of [...members].sort(compareIds)) {
    for (const topic of new Set(topics)) {
      const list = byTopic.get(topic) ?? [];
      list.push(loads.get(memberId) as Load);
      byTopic.set(topic, list);
    }
  }
  return byTopic;
}

function compareIds(left: { readonly memberId: string }, right: { readonly memberId: string }): number {
  return left.memberId < right.memberId ? -1 : left.memberId > right.memberId ? 1 : 0;
}
