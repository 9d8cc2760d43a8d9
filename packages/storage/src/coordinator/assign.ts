import type { TopicPartition } from "../engine.js";
import { createLoadOrder, type LoadOrder, type Weighed } from "./load-order.js";

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
interface Load extends Weighed {
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  /** Indexes of partitions by topic, in the order in which they came. */
  readonly owned: Map<string, number[]>;
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
  const takersOf = subscribers(loads);
  const orders = createOrders([...loads.values()], takersOf);
  const owners = new Map<number, Load>();

  function give(index: number, topic: string, load: Load): void {
    const list = load.owned.get(topic);
    if (list === undefined) load.owned.set(topic, [index]);
    else list.push(index);
    load.size++;
    owners.set(index, load);
    orders.changed(load);
  }

  partitions.forEach(({ topic, memberId }, index) => {
    const owner = memberId === undefined ? undefined : loads.get(memberId);
    if (owner?.topics.has(topic) === true) give(index, topic, owner);
  });
  partitions.forEach(({ topic }, index) => {
    const taker = owners.has(index) ? undefined : orders.lightestOf(topic);
    if (taker !== undefined) give(index, topic, taker);
  });
  // Each path lowers the sum of squared sizes, so this ends; the bound is a guard against a defect.
  for (let paths = 0; paths <= partitions.length * loads.size; paths++) {
    let step = orders.oneStep();
    if (step === "balanced") break;
    step ??= findPath([...loads.values()].sort(bySize), takersOf);
    if (step === undefined) break;
    // From the end, so that nobody passes on what it was given just now. What came last moves first: what a member has had longest stays.
    for (; step.before !== undefined; step = step.before) {
      const giver: Load = step.before.load;
      const index = giver.owned.get(step.topic)?.pop() as number;
      giver.size--;
      orders.changed(giver);
      give(index, step.topic, step.load);
    }
  }
  return partitions.map((_, index) => owners.get(index)?.memberId);
}

/**
 * The way on which one partition each moves along, from the member that has most to one that has at least two fewer: the shortest, to the one with the
 * fewest among equals. Told by its last step.
 */
function findPath(loads: readonly Load[], takersOf: ReadonlyMap<string, readonly Load[]>): Step | undefined {
  const fewest = loads.at(-1)?.size ?? 0;
  // What one search reached in vain need not be searched again: who starts there has no more to give.
  const reached = new Set<Load>();
  const topicsSeen = new Set<string>();
  for (const start of loads) {
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

/** Who has least and most. Topics with the same subscribers share an order. */
interface Orders {
  lightestOf(topic: string): Load | undefined;
  /** What `findPath` finds when one partition of the member that has most can go straight to another. Undefined: it needs more steps, or another member's. */
  oneStep(): Step | "balanced" | undefined;
  changed(load: Load): void;
}

function createOrders(loads: readonly Load[], takersOf: ReadonlyMap<string, readonly Load[]>): Orders {
  const circleOf = circlesOf(loads);
  /** Made when they are first asked for. */
  const lightestFirst = new Map<number, LoadOrder<Load>>();
  const ordersOf = new Map<Load, LoadOrder<Load>[]>();
  let ends: { readonly heaviest: LoadOrder<Load>; readonly lightest: LoadOrder<Load> } | undefined;

  function orderOf(topic: string): LoadOrder<Load> | undefined {
    const circle = circleOf.get(topic);
    if (circle === undefined) return undefined;
    const known = lightestFirst.get(circle);
    if (known !== undefined) return known;
    const takers = takersOf.get(topic) ?? [];
    const made = createLoadOrder(takers, "lightest");
    lightestFirst.set(circle, made);
    for (const load of takers) {
      const list = ordersOf.get(load);
      if (list === undefined) ordersOf.set(load, [made]);
      else list.push(made);
    }
    return made;
  }

  return {
    lightestOf: (topic) => orderOf(topic)?.first(),
    oneStep() {
      ends ??= { heaviest: createLoadOrder(loads, "heaviest"), lightest: createLoadOrder(loads, "lightest") };
      const start = ends.heaviest.first();
      const fewest = ends.lightest.first();
      if (start === undefined || fewest === undefined || start.size - fewest.size < 2) return "balanced";
      let best: { readonly load: Load; readonly topic: string } | undefined;
      for (const [topic, owned] of start.owned) {
        const load = owned.length === 0 ? undefined : orderOf(topic)?.first();
        if (load !== undefined && (best === undefined || load.size < best.load.size)) best = { load, topic };
      }
      if (best === undefined || start.size - best.load.size < 2) return undefined;
      return { ...best, before: { load: start, topic: "", before: undefined } };
    },
    changed(load) {
      for (const order of ordersOf.get(load) ?? []) order.changed(load);
      ends?.heaviest.changed(load);
      ends?.lightest.changed(load);
    },
  };
}

/** A number for each topic: the same for topics with the same subscribers. */
function circlesOf(loads: readonly Load[]): Map<string, number> {
  const circles = new Map<string, number>();
  let last = 0;
  for (const { topics } of loads) {
    // With this member, those of one number so far get another one.
    const grown = new Map<number, number>();
    for (const topic of topics) {
      const before = circles.get(topic) ?? 0;
      const next = grown.get(before) ?? ++last;
      grown.set(before, next);
      circles.set(topic, next);
    }
  }
  return circles;
}

function lightest(loads: readonly Load[]): Load | undefined {
  let best: Load | undefined;
  for (const load of loads) if (best === undefined || load.size < best.size) best = load;
  return best;
}

/** In the order of ids. */
function loadsOf(members: readonly Assignee[]): Map<string, Load> {
  const sorted = [...members].sort(compareIds);
  return new Map(
    sorted.map(({ memberId, topics }, rank) => [
      memberId,
      { memberId, rank, topics: new Set(topics), owned: new Map(), size: 0 },
    ]),
  );
}

/** Who may take a topic's partitions, in the order of ids. */
function subscribers(loads: ReadonlyMap<string, Load>): Map<string, Load[]> {
  const byTopic = new Map<string, Load[]>();
  for (const load of loads.values()) {
    for (const topic of load.topics) {
      const list = byTopic.get(topic);
      if (list === undefined) byTopic.set(topic, [load]);
      else list.push(load);
    }
  }
  return byTopic;
}

function bySize(left: Load, right: Load): number {
  return right.size - left.size || left.rank - right.rank;
}

function compareIds(left: { readonly memberId: string }, right: { readonly memberId: string }): number {
  return left.memberId < right.memberId ? -1 : left.memberId > right.memberId ? 1 : 0;
}
