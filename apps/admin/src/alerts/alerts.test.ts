import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { silentLogger } from "@gmq/log";
import { PortalBrokerSchema, PortalGroupSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClusterState, unseen } from "../cluster/cluster-state.js";
import { openAlertMemory } from "./alert-memory.js";
import { type AlertRule, openAlertRules } from "./alert-rules.js";
import { createAlerts } from "./alerts.js";
import { judgeState } from "./judge-state.js";
import { openSilences, type Silences } from "./silences.js";
import { createWebhook } from "./webhook.js";

const base: AlertRule = {
  name: "late",
  when: "lag_records",
  above: 100,
  forSeconds: 10,
  severity: "warning",
  groups: ["*"],
};
const { isAbout } = openAlertRules(undefined, 1_000, silentLogger);

function group(name: string, fields: { lagRecords?: bigint; lagMs?: bigint; lostRecords?: bigint; members?: number }) {
  return create(PortalGroupSchema, { name, members: 1, sampledAtMs: 1n, ...fields });
}
function stateOf(takenAtMs: number, groups: ReturnType<typeof group>[], problem = ""): ClusterState {
  const broker = create(PortalBrokerSchema, { url: "http://b", storeReady: true });
  const named = new Map(groups.map((one) => [one.name, one]));
  return { ...unseen, version: takenAtMs, takenAtMs, brokers: [broker], groups: named, problem };
}

let silences: Silences;
let data: string;
let told: { status: string; subject: string }[];
let alerts: ReturnType<typeof createAlerts>;
beforeEach(async () => {
  silences = await openSilences(undefined, silentLogger);
  told = [];
  data = await mkdtemp(join(tmpdir(), "gmq-alerts-"));
  alerts = await open();
});
afterEach(async () => {
  await alerts.keep();
  await rm(data, { recursive: true, force: true });
});

/** Alerts as a portal on this folder has them when it starts. */
async function open() {
  const webhook = {
    ...createWebhook(() => undefined, silentLogger),
    send: (event: object) => told.push(event as never),
  };
  const rules = { list: () => [base], webhook: () => undefined, isAbout, close: () => undefined };
  const memory = await openAlertMemory(data, silentLogger);
  return createAlerts({ rules, silences, webhook, memory, environment: "test", portalUrl: "" });
}

describe("an alert", () => {
  const behind = group("billing", { lagRecords: 101n });

  it("fires once it has lasted as long as its rule asks, is told once, and told again when it is over", () => {
    alerts.judge(stateOf(1_000, [behind]));
    expect(alerts.open()).toMatchObject([{ subject: "group billing", sinceMs: 1_000, firedAtMs: 0 }]);
    alerts.judge(stateOf(10_999, [behind]));
    expect(told).toEqual([]);
    alerts.judge(stateOf(11_000, [behind]));
    alerts.judge(stateOf(12_000, [group("billing", { lagRecords: 500n })]));
    expect(alerts.open()).toMatchObject([{ firedAtMs: 11_000, text: "Group billing is 500 records behind" }]);
    expect(told).toMatchObject([{ status: "firing", rule: "late", subject: "group billing", environment: "test" }]);
    alerts.judge(stateOf(13_000, [group("billing", { lagRecords: 100n })]));
    expect(alerts.open()).toEqual([]);
    expect(alerts.past()).toMatchObject([{ sinceMs: 1_000, firedAtMs: 11_000, endedAtMs: 13_000 }]);
    expect(told.map(({ status }) => status)).toEqual(["firing", "resolved"]);
  });

  it("that did not last is forgotten, and begins anew", () => {
    alerts.judge(stateOf(1_000, [behind]));
    alerts.judge(stateOf(5_000, []));
    alerts.judge(stateOf(11_000, [behind]));
    expect(alerts.open()).toMatchObject([{ sinceMs: 11_000, firedAtMs: 0 }]);
    expect(alerts.past()).toEqual([]);
    expect(told).toEqual([]);
  });

  it("stays while nobody can tell whether it is over", () => {
    alerts.judge(stateOf(1_000, [behind]));
    alerts.judge(stateOf(11_000, [behind]));
    alerts.judge(stateOf(12_000, [], "no broker answers"));
    expect(alerts.open()).toMatchObject([{ subject: "group billing", firedAtMs: 11_000 }]);
    expect(told).toHaveLength(1);
  });

  it("is not told while it is silenced, and told when the silence is over and it still is", async () => {
    const silence = { subject: "group billing", untilMs: Date.now() + 60_000, reason: "known", actor: "ann" };
    const { silenceId } = await silences.add({ ...silence, rule: "", createdAtMs: Date.now() });
    alerts.judge(stateOf(1_000, [behind]));
    alerts.judge(stateOf(11_000, [behind]));
    expect(told).toEqual([]);
    expect(alerts.open()[0]?.silence).toMatchObject({ reason: "known" });
    await silences.end(silenceId);
    alerts.judge(stateOf(12_000, [behind]));
    expect(told.map(({ status }) => status)).toEqual(["firing"]);
  });

  it("that was silenced all the time is not told when it is over", async () => {
    const nowMs = Date.now();
    await silences.add({
      rule: "late",
      subject: "",
      untilMs: nowMs + 60_000,
      reason: "",
      actor: "",
      createdAtMs: nowMs,
    });
    alerts.judge(stateOf(1_000, [behind]));
    alerts.judge(stateOf(11_000, [behind]));
    alerts.judge(stateOf(12_000, []));
    expect(alerts.past()).toHaveLength(1);
    expect(told).toEqual([]);
  });
});

describe("after a restart", () => {
  const behind = group("billing", { lagRecords: 101n });
  const unseenYet = create(PortalGroupSchema, { name: "billing" });

  it("an alert fires since it did, is not told again, and is over when it is seen to be", async () => {
    alerts.judge(stateOf(1_000, [behind]));
    alerts.judge(stateOf(11_000, [behind]));
    await alerts.keep();
    alerts = await open();
    expect(alerts.open()).toMatchObject([{ subject: "group billing", sinceMs: 1_000, firedAtMs: 11_000 }]);
    // Listed, and not looked at: nobody can tell.
    alerts.judge(stateOf(90_000, [unseenYet]));
    alerts.judge(stateOf(91_000, [behind]));
    expect(told.map(({ status }) => status)).toEqual(["firing"]);
    alerts.judge(stateOf(92_000, [group("billing", {})]));
    expect(told.map(({ status }) => status)).toEqual(["firing", "resolved"]);
    await alerts.keep();
    alerts = await open();
    expect(alerts.open()).toEqual([]);
    expect(alerts.past()).toMatchObject([{ sinceMs: 1_000, firedAtMs: 11_000, endedAtMs: 92_000 }]);
  });

  it("what did not fire yet begins anew, as nobody saw whether it lasted", async () => {
    alerts.judge(stateOf(1_000, [behind]));
    await alerts.keep();
    alerts = await open();
    alerts.judge(stateOf(60_000, [behind]));
    expect(alerts.open()).toMatchObject([{ sinceMs: 60_000, firedAtMs: 0 }]);
  });

  it("keeps the last 200 that are over", async () => {
    for (let turn = 0; turn < 205; turn++) {
      alerts.judge(stateOf(turn * 100_000, [behind]));
      alerts.judge(stateOf(turn * 100_000 + 10_000, [behind]));
      alerts.judge(stateOf(turn * 100_000 + 20_000, []));
    }
    await alerts.keep();
    const kept = JSON.parse(await readFile(join(data, "alerts.json"), "utf8")) as { past: { sinceMs: number }[] };
    expect(kept.past).toHaveLength(200);
    expect(kept.past[0]?.sinceMs).toBe(20_400_000);
  });

  it("a file that cannot be read is left aside", async () => {
    await writeFile(join(data, "alerts.json"), '{"version":1,"firing":[{');
    alerts = await open();
    expect(alerts.open()).toEqual([]);
  });
});

describe("a rule", () => {
  const found = (rule: Partial<AlertRule>, state: ClusterState) =>
    judgeState({ ...base, above: 0, ...rule }, state, { isAbout })?.map(({ subject }) => subject);

  it("finds groups by what it asks, and only those it names", () => {
    const state = stateOf(1, [
      group("billing", { lagRecords: 5n, lagMs: 61_000n }),
      group("bills-eu", { lagRecords: 5n, lagMs: 60_000n, members: 0, lostRecords: 2n }),
    ]);
    expect(found({ when: "lag_seconds", above: 60 }, state)).toEqual(["group billing"]);
    expect(found({ when: "no_members" }, state)).toEqual(["group bills-eu"]);
    expect(found({ when: "records_lost" }, state)).toEqual(["group bills-eu"]);
    expect(found({ when: "lag_records", above: 4, groups: ["bills-*"] }, state)).toEqual(["group bills-eu"]);
    expect(found({ when: "dead_letters" }, { ...state, deadLetters: 1n })).toEqual(["dead letters"]);
    expect(found({ when: "dead_letters", above: 1 }, { ...state, deadLetters: 1n })).toEqual([]);
  });

  it("finds what does not answer or is not ready, a storage once whoever links to it", () => {
    const storages = [
      { url: "http://s1", ready: false, reason: "gone" },
      { url: "http://s2", ready: true },
    ];
    const sick = create(PortalBrokerSchema, { url: "http://b1", storeReady: false, storeReason: "away", storages });
    const state = (...brokers: (typeof sick)[]): ClusterState => ({ ...unseen, brokers });
    const gone = create(PortalBrokerSchema, { url: "http://b2", problem: "refused" });
    expect(found({ when: "broker_silent" }, state(sick, gone))).toEqual(["broker http://b2"]);
    expect(found({ when: "storage_not_ready" }, state(sick, sick, gone))).toEqual(["storage http://s1"]);
    expect(found({ when: "store_not_ready" }, state(sick, gone))).toEqual(["store"]);
    // Nobody is left to ask.
    expect(found({ when: "storage_not_ready" }, state(gone))).toBeUndefined();
    expect(found({ when: "store_not_ready" }, state(gone))).toBeUndefined();
  });
});
