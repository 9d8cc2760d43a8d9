/** What a rule finds in the cluster as it was seen last. */
import type { ClusterState } from "../cluster/cluster-state.js";
import type { AlertRule, AlertRules } from "./alert-rules.js";

/** One thing that a rule found. */
export interface Finding {
  /** What it is about, for example "group billing"; one rule finds it once. */
  readonly subject: string;
  /** What is wrong, for people. */
  readonly text: string;
}

/** What holds now. Undefined: not to be told, as nobody answers what the rule asks. */
export function judgeState(
  rule: AlertRule,
  state: ClusterState,
  rules: Pick<AlertRules, "isAbout">,
): Finding[] | undefined {
  switch (rule.when) {
    case "broker_silent":
      return state.brokers
        .filter(({ problem }) => problem !== "")
        .map(({ url, problem }) => ({ subject: `broker ${url}`, text: `Broker ${url} does not answer: ${problem}` }));
    case "storage_not_ready":
      return notReadyStorages(state);
    case "store_not_ready":
      return notReadyStore(state);
    case "dead_letters":
      if (state.problem !== "") return undefined;
      return Number(state.deadLetters) > rule.above
        ? [
            {
              subject: "dead letters",
              text: `${count(state.deadLetters, "dead letter")} ${state.deadLetters === 1n ? "waits" : "wait"} for a decision`,
            },
          ]
        : [];
    default:
      return state.problem === "" ? groupsFound(rule, state, rules) : undefined;
  }
}

function groupsFound(rule: AlertRule, { groups }: ClusterState, rules: Pick<AlertRules, "isAbout">): Finding[] {
  const found: Finding[] = [];
  for (const { name, members, lagRecords, lagMs, lostRecords, sampledAtMs } of groups.values()) {
    if (sampledAtMs === 0n || !rules.isAbout(rule, name)) continue;
    const subject = `group ${name}`;
    if (rule.when === "no_members" && members === 0 && lagRecords > 0n) {
      found.push({ subject, text: `Group ${name} has no members and ${count(lagRecords, "record")} to settle` });
    } else if (rule.when === "lag_records" && Number(lagRecords) > rule.above) {
      found.push({ subject, text: `Group ${name} is ${count(lagRecords, "record")} behind` });
    } else if (rule.when === "lag_seconds" && Number(lagMs) > rule.above * 1_000) {
      const seconds = lagMs / 1_000n;
      found.push({ subject, text: `Group ${name} is ${count(seconds, "second")} behind` });
    } else if (rule.when === "records_lost" && Number(lostRecords) > rule.above) {
      found.push({
        subject,
        text: `Group ${name} lost ${count(lostRecords, "record")}, trimmed before it had settled them`,
      });
    }
  }
  return found;
}

/** A storage counts once, whichever brokers link to it. */
function notReadyStorages({ brokers }: ClusterState): Finding[] | undefined {
  const answering = brokers.filter(({ problem }) => problem === "");
  if (answering.length === 0) return undefined;
  const found = new Map<string, Finding>();
  for (const { url, ready, reason } of answering.flatMap(({ storages }) => storages)) {
    if (ready) continue;
    const subject = `storage ${url}`;
    found.set(subject, { subject, text: `Storage ${url} is not ready${reason === "" ? "" : `: ${reason}`}` });
  }
  return [...found.values()];
}

function notReadyStore({ brokers }: ClusterState): Finding[] | undefined {
  const answering = brokers.filter(({ problem }) => problem === "");
  if (answering.length === 0) return undefined;
  const broken = answering.find(({ storeReady }) => !storeReady);
  if (broken === undefined) return [];
  return [{ subject: "store", text: `The store is not ready: ${broken.storeReason || "no reason told"}` }];
}

function count(value: bigint, what: string): string {
  return `${value.toLocaleString("en")} ${what}${value === 1n ? "" : "s"}`;
}
