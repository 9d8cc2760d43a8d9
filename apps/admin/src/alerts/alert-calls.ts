import type { ServiceImpl } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  type PortalService,
  PortalServiceEndSilenceRequestSchema,
  PortalServiceSilenceAlertRequestSchema,
  PortalServiceTestAlertWebhookRequestSchema,
} from "@gmq/protocol/messages";
import type { AuditedWrites } from "../calls/audited-write.js";
import type { RequestGuard } from "../calls/request-guard.js";
import { alertKinds } from "./alert-rules.js";
import { type AlertParts, type Alerts, alertMessage } from "./alerts.js";
import type { Silence } from "./silences.js";

type AlertCalls = Pick<
  ServiceImpl<typeof PortalService>,
  "listAlerts" | "silenceAlert" | "endSilence" | "testAlertWebhook"
>;

const listedMax = 500;
const silenceSecondsMax = 30 * 86_400;
const reasonLengthMax = 500;
const subjectLengthMax = 600;

/** What the calls are made of. */
export interface AlertCallParts extends Pick<AlertParts, "rules" | "silences" | "webhook"> {
  readonly alerts: Alerts;
  readonly guard: RequestGuard;
  readonly auditedWrites: AuditedWrites;
}

/** The part of PortalService that is about alerts. They change nothing outside of the portal, so they work while no broker answers. */
export function createAlertCalls(parts: AlertCallParts): AlertCalls {
  const { alerts, rules, silences, webhook, guard, auditedWrites } = parts;

  return {
    async listAlerts(_request, context) {
      guard.check(context);
      const target = rules.webhook();
      const open = alerts.open();
      const { delivered, failed, waiting, lastProblem, lastAtMs } = webhook.status();
      return {
        alerts: open.slice(0, listedMax).map(alertMessage),
        alertCount: open.length,
        past: alerts.past().map(alertMessage),
        rules: rules.list().map(({ name, when, above, forSeconds, severity, groups }) => {
          const { text, unit } = alertKinds[when];
          return { name, condition: text, above, unit, forSeconds, severity, groups };
        }),
        silences: silences.list(Date.now()).map((one) => ({
          ...one,
          untilMs: BigInt(one.untilMs),
          createdAtMs: BigInt(one.createdAtMs),
        })),
        silencesKept: silences.kept,
        // Its path and headers may hold a secret.
        ...(target === undefined
          ? {}
          : {
              webhook: {
                host: new URL(target.url).host,
                delivered: BigInt(delivered),
                failed: BigInt(failed),
                waiting,
                lastProblem,
                lastAtMs: BigInt(lastAtMs),
              },
            }),
      };
    },

    async silenceAlert(request, context) {
      const silence = await auditedWrites.writeHere(
        {
          action: "SilenceAlert",
          input: PortalServiceSilenceAlertRequestSchema,
          request,
          target: targetOf(request.rule, request.subject),
          run: async ({ actor }) => {
            const { rule, subject, seconds, reason } = request;
            checkSilence(request);
            const nowMs = Date.now();
            return await silences.add({
              rule,
              subject,
              untilMs: nowMs + seconds * 1_000,
              reason,
              actor,
              createdAtMs: nowMs,
            });
          },
        },
        context,
      );
      return { silenceId: silence.silenceId };
    },

    async endSilence(request, context) {
      const silence = silences.list(Date.now()).find(({ silenceId }) => silenceId === request.silenceId);
      await auditedWrites.writeHere(
        {
          action: "EndSilence",
          input: PortalServiceEndSilenceRequestSchema,
          request,
          target: targetOf(silence?.rule ?? "", silence?.subject ?? ""),
          run: () => silences.end(request.silenceId),
        },
        context,
      );
      return {};
    },

    async testAlertWebhook(request, context) {
      await auditedWrites.writeHere(
        {
          action: "TestAlertWebhook",
          input: PortalServiceTestAlertWebhookRequestSchema,
          request,
          target: "webhook",
          run: () => webhook.test(alerts.testEvent()),
        },
        context,
      );
      return {};
    },
  };
}

/** @throws GmqError `invalid_argument` */
function checkSilence({ rule, subject, seconds, reason }: AskedSilence): void {
  if (rule === "" && subject === "") {
    throw new GmqError("invalid_argument", "name a rule, or what it is about, or both", { field: "rule" });
  }
  if (seconds < 1 || seconds > silenceSecondsMax) {
    throw new GmqError("invalid_argument", `${seconds} seconds are no time to be silent`, {
      field: "seconds",
      limit: `1 to ${silenceSecondsMax} s`,
    });
  }
  for (const [field, value, max] of [
    ["rule", rule, 64],
    ["subject", subject, subjectLengthMax],
    ["reason", reason, reasonLengthMax],
  ] as const) {
    if (value.length > max) {
      throw new GmqError("invalid_argument", `${field} is too long`, { field, limit: `${max} characters` });
    }
  }
}

type AskedSilence = Pick<Silence, "rule" | "subject" | "reason"> & { readonly seconds: number };

function targetOf(rule: string, subject: string): string {
  return [...(rule === "" ? [] : [`alert ${rule}`]), ...(subject === "" ? [] : [subject])].join(", ");
}
