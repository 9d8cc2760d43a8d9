/** What the portal gives alarm about: its own rules, or those of an alerts file. */
import type { Logger } from "@gmq/log";
import { readDocument, watchFiles } from "@gmq/service";
import { z } from "zod";

/** What a rule looks at. Those with a bound hold above it. */
export const alertKinds = {
  broker_silent: { text: "a broker does not answer", unit: "" },
  storage_not_ready: { text: "a storage process is not ready", unit: "" },
  store_not_ready: { text: "the store is not ready", unit: "" },
  no_members: { text: "a group is behind and has no members", unit: "" },
  lag_records: { text: "a group is behind by more", unit: "records" },
  lag_seconds: { text: "a group's oldest unsettled record is older", unit: "seconds" },
  records_lost: { text: "records were trimmed before a group had settled them", unit: "records" },
  dead_letters: { text: "dead letters wait for a decision", unit: "records" },
} as const;

/** What a rule looks at. */
export type AlertKind = keyof typeof alertKinds;

const rule = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "expected letters, digits, dot, dash and underscore"),
  when: z.enum(Object.keys(alertKinds) as [AlertKind, ...AlertKind[]]),
  above: z.number().min(0).max(1e15).default(0),
  forSeconds: z.number().int().min(0).max(86_400).default(30),
  severity: z.enum(["warning", "critical"]).default("warning"),
  groups: z.array(z.string().min(1).max(255)).min(1).max(1_000).default(["*"]),
});

const document = z.strictObject({
  rules: z
    .array(rule)
    .max(200)
    .refine((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, "each name stands once")
    .optional(),
  webhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }),
      headers: z.record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/), z.string().max(4_096)).default({}),
    })
    .optional(),
});

/** One rule. */
export type AlertRule = Readonly<z.output<typeof rule>>;
/** Where alerts are sent. */
export type WebhookTarget = Readonly<NonNullable<z.output<typeof document>["webhook"]>>;

/** What is looked for where no file says otherwise. */
export const ownRules: readonly AlertRule[] = [
  { name: "broker-silent", when: "broker_silent", forSeconds: 10, severity: "critical" },
  { name: "storage-not-ready", when: "storage_not_ready", forSeconds: 10, severity: "critical" },
  { name: "store-not-ready", when: "store_not_ready", forSeconds: 10, severity: "critical" },
  { name: "records-lost", when: "records_lost", forSeconds: 0, severity: "critical" },
  { name: "group-without-members", when: "no_members", forSeconds: 60 },
  { name: "group-late", when: "lag_seconds", above: 300, forSeconds: 60 },
  { name: "dead-letters", when: "dead_letters", forSeconds: 0 },
].map((one) => rule.parse(one));

/** The rules as they are now. */
export interface AlertRules {
  list(): readonly AlertRule[];
  webhook(): WebhookTarget | undefined;
  /** Whether the rule is about this group. */
  isAbout(rule: AlertRule, group: string): boolean;
  close(): void;
}

/** Reads the file now and looks every `reloadMs` whether it changed; one that is wrong is logged and the old one stays. @throws GmqError `invalid_argument` */
export function openAlertRules(path: string | undefined, reloadMs: number, logger: Logger): AlertRules {
  const read = (): z.output<typeof document> =>
    path === undefined ? {} : readDocument("--portal-alerts-file", path, document);
  let current = read();
  let patterns = new Map<AlertRule, readonly RegExp[]>();
  const watch =
    path === undefined
      ? undefined
      : watchFiles([path], reloadMs, () => {
          try {
            current = read();
            patterns = new Map();
            logger.info("the portal's alerts file was read again", { path });
          } catch (error) {
            logger.error("the portal's new alerts file cannot be used, the old one stays", { error });
          }
        });
  return {
    list: () => current.rules ?? ownRules,
    webhook: () => current.webhook,
    isAbout(one, group) {
      const known = patterns.get(one) ?? one.groups.map(patternOf);
      patterns.set(one, known);
      return known.some((pattern) => pattern.test(group));
    },
    close: () => watch?.close(),
  };
}

/** A `*` is any text. */
function patternOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s");
}
