/** Holds the rules against each look at the cluster: what is wrong now, since when, and what was wrong before. */
import { create } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { type PortalAlert, PortalAlertSchema } from "@gmq/protocol/messages";
import type { ClusterSampler } from "../cluster/cluster-sampler.js";
import type { ClusterState } from "../cluster/cluster-state.js";
import type { AlertMemory, KeptAlerts } from "./alert-memory.js";
import type { AlertRule, AlertRules } from "./alert-rules.js";
import { judgeState } from "./judge-state.js";
import type { Silence, Silences } from "./silences.js";
import type { Webhook } from "./webhook.js";

/** Something that a rule found. */
export interface Alert {
  readonly rule: string;
  readonly severity: AlertRule["severity"];
  readonly subject: string;
  readonly text: string;
  readonly sinceMs: number;
  /** When it had lasted as long as its rule asks; 0: not yet. */
  readonly firedAtMs: number;
  /** 0: it still is. */
  readonly endedAtMs: number;
}

/** An alert that is not over, and what keeps it quiet. */
export type OpenAlert = Alert & { readonly silence: Silence | undefined };

export interface Alerts {
  /** The critical that fire first, the silenced last. */
  open(): readonly OpenAlert[];
  /** Newest first, the last 200 that fired and are over; of portals before too, where they are kept. */
  past(): readonly Alert[];
  /** Holds the rules against a look. */
  judge(state: ClusterState): void;
  /** The event that a test of the webhook sends. */
  testEvent(): object;
  close(): Promise<void>;
}

const pastMax = 200;
/** Past it new ones are not taken in before others are over. */
const openMax = 5_000;
const lookAgainMs = 60_000;
/** Without anybody who looks, a webhook keeps the looks going. */
const webhookCheckMs = 2_000;

interface Entry {
  alert: Alert;
  /** The webhook was told that it fires. */
  told: boolean;
}

/** What alerts go by. */
export interface AlertParts {
  readonly rules: AlertRules;
  readonly silences: Silences;
  readonly webhook: Webhook;
  readonly memory: AlertMemory;
  readonly environment: string;
  /** Address of the portal, for whoever is told; "" when it is not known. */
  readonly portalUrl: string;
}

/** Makes them with what the portal before knew, and has the webhook go on with what it was about to tell. */
export function createAlerts(parts: AlertParts): Omit<Alerts, "close"> & { keep(): Promise<void> } {
  const { rules, silences, webhook, memory, environment, portalUrl } = parts;
  const { before: known } = memory;
  const entries = new Map<string, Entry>(
    known.firing.slice(0, openMax).map((entry) => [keyOf(entry.alert), { ...entry }]),
  );
  let past: readonly Alert[] = known.past.slice(0, pastMax);
  const keep = (): Promise<void> =>
    memory.save((): KeptAlerts => {
      const firing = [...entries.values()].filter(({ alert }) => alert.firedAtMs > 0);
      return { firing, past: [...past], waiting: [...webhook.waiting()] };
    });
  webhook.resume(known.waiting, keep);

  function judge(state: ClusterState): void {
    const nowMs = state.takenAtMs;
    const kept = new Set<string>();
    let changed = false;
    for (const rule of rules.list()) {
      const found = judgeState(rule, state, rules);
      if (found === undefined) {
        // Nobody can tell: what was found stays as it was.
        for (const [key, { alert }] of entries) if (alert.rule === rule.name) kept.add(key);
        continue;
      }
      for (const { subject, text } of found) {
        const key = keyOf({ rule: rule.name, subject });
        kept.add(key);
        const before = entries.get(key);
        if (before === undefined && entries.size >= openMax) continue;
        const sinceMs = before?.alert.sinceMs ?? nowMs;
        const fires = (before?.alert.firedAtMs ?? 0) > 0 || nowMs - sinceMs >= rule.forSeconds * 1_000;
        const firedAtMs = fires ? before?.alert.firedAtMs || nowMs : 0;
        const { name, severity } = rule;
        const alert = { rule: name, severity, subject, text, sinceMs, firedAtMs, endedAtMs: 0 };
        entries.set(key, { alert, told: before?.told ?? false });
        changed ||= fires && before?.alert.firedAtMs !== firedAtMs;
      }
    }
    for (const [key, entry] of entries) {
      const { alert, told } = entry;
      if (kept.has(key) || isUnseen(alert.subject, state)) {
        if (alert.firedAtMs === 0 || told || silenceOf(alert) !== undefined) continue;
        tell(entry);
      } else {
        end(key, entry, nowMs);
      }
      changed ||= alert.firedAtMs > 0;
    }
    if (changed) void keep();
  }

  function tell(entry: Entry): void {
    entry.told = true;
    webhook.send(eventOf("firing", entry.alert));
  }

  function end(key: string, { alert, told }: Entry, nowMs: number): void {
    entries.delete(key);
    if (alert.firedAtMs === 0) return;
    const ended = { ...alert, endedAtMs: nowMs };
    past = [ended, ...past].slice(0, pastMax);
    if (told) webhook.send(eventOf("resolved", ended));
  }

  function silenceOf({ rule, subject }: Alert): Silence | undefined {
    return silences.covering(rule, subject, Date.now());
  }

  function eventOf(status: "firing" | "resolved" | "test", alert: Alert): object {
    const { rule, severity, subject, text, sinceMs, firedAtMs, endedAtMs } = alert;
    const url = portalUrl === "" ? {} : { url: `${portalUrl}/alerts` };
    return { version: 1, status, environment, rule, severity, subject, text, sinceMs, firedAtMs, endedAtMs, ...url };
  }

  return {
    judge,
    keep,
    open: () =>
      [...entries.values()]
        .map(({ alert }) => ({ ...alert, silence: silenceOf(alert) }))
        .sort((one, other) => rankOf(one) - rankOf(other) || one.sinceMs - other.sinceMs),
    past: () => past,
    testEvent: () => {
      const now = Date.now();
      const text = "A test of the webhook: nothing is wrong";
      const times = { sinceMs: now, firedAtMs: now, endedAtMs: 0 };
      return eventOf("test", { rule: "test", severity: "warning", subject: "test", text, ...times });
    },
  };
}

function keyOf({ rule, subject }: Pick<Alert, "rule" | "subject">): string {
  return `${rule} ${subject}`;
}

/** A group that was listed and not looked at yet: a portal that has just started cannot tell whether it is over. */
function isUnseen(subject: string, { groups }: ClusterState): boolean {
  const prefix = "group ";
  return subject.startsWith(prefix) && groups.get(subject.slice(prefix.length))?.sampledAtMs === 0n;
}

/** What somebody has to see first. */
function rankOf({ firedAtMs, severity, silence }: OpenAlert): number {
  if (silence !== undefined) return 3;
  if (firedAtMs === 0) return 2;
  return severity === "critical" ? 0 : 1;
}

/** As pages are told of it. */
export function alertMessage(alert: Alert & { readonly silence?: Silence | undefined }): PortalAlert {
  const { rule, severity, subject, text, sinceMs, firedAtMs, endedAtMs, silence } = alert;
  return create(PortalAlertSchema, {
    rule,
    severity,
    subject,
    text,
    sinceMs: BigInt(sinceMs),
    firedAtMs: BigInt(firedAtMs),
    endedAtMs: BigInt(endedAtMs),
    silenceId: silence?.silenceId ?? "",
  });
}

/** Judges every look while somebody looks, and all the time while there is a webhook to tell. */
export function watchAlerts(parts: AlertParts, sampler: ClusterSampler, logger: Logger): Alerts {
  const alerts = createAlerts(parts);
  const closing = new AbortController();
  let release: (() => void) | undefined;

  async function run(): Promise<void> {
    let seen = 0;
    while (!closing.signal.aborted) {
      const isWanted = parts.rules.webhook() !== undefined;
      if (isWanted) release ??= sampler.watch();
      else {
        release?.();
        release = undefined;
      }
      await sampler.newerThan(seen, isWanted ? webhookCheckMs : lookAgainMs, closing.signal);
      const state = sampler.state();
      if (state.version === seen) continue;
      seen = state.version;
      alerts.judge(state);
    }
  }

  const running = run().catch((error: unknown) => logger.error("alerts are not looked for any more", { error }));
  return {
    ...alerts,
    async close() {
      closing.abort();
      await running;
      release?.();
      await parts.webhook.close();
      await alerts.keep();
    },
  };
}
