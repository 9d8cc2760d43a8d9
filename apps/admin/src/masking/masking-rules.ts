/** Which fields of which topics are masked, and for whom: the portal's masking file. */
import type { Logger } from "@gmq/log";
import { readDocument, watchFiles } from "@gmq/service";
import { z } from "zod";
import { type PortalRole, portalRoles } from "../access/roles.js";
import type { FieldPath } from "./mask-json.js";

/** Topics remembered for each role; past it all are looked at again, so that nobody fills the memory by asking for names. */
const topicsMax = 10_000;

const fieldPattern = /^(?:key|value(?:\.[^.\s]{1,128}){0,16}|headers(?:\.[^\s]{1,128})?)$/;

const document = z.strictObject({
  rules: z
    .array(
      z.strictObject({
        topics: z.array(z.string().min(1).max(255)).min(1).max(1_000),
        fields: z
          .array(z.string().regex(fieldPattern, "expected key, value, value.<path>, headers or headers.<name>"))
          .min(1)
          .max(100),
        except: z.array(z.enum(portalRoles)).default([]),
      }),
    )
    .max(1_000),
});
type Rule = z.output<typeof document>["rules"][number];

/** Fields of topics that are masked for all but some roles. */
export type MaskingRule = Readonly<Rule>;

/** What of a topic's records is masked for somebody. */
export interface MaskedFields {
  readonly key: boolean;
  readonly wholeValue: boolean;
  readonly valuePaths: readonly FieldPath[];
  readonly allHeaders: boolean;
  /** In small letters. */
  readonly headers: ReadonlySet<string>;
}

/** The rules as they are now. */
export interface MaskingRules {
  /** Whether there is any rule. */
  readonly isOn: boolean;
  /** The rules as the file has them. */
  list(): readonly MaskingRule[];
  /** What is masked of a topic for a role, or where access is off for everybody; undefined: nothing. */
  fieldsOf(topic: string, role: PortalRole | undefined): MaskedFields | undefined;
  /** Whether anything of the topic is masked for anybody. */
  hasRules(topic: string): boolean;
  /** Whether all that is masked for `role` is masked for `other` too. */
  isCoveredBy(topic: string, role: PortalRole | undefined, other: PortalRole | undefined): boolean;
  close(): void;
}

/** No rules. */
export const noMasking: MaskingRules = {
  isOn: false,
  list: () => [],
  fieldsOf: () => undefined,
  hasRules: () => false,
  isCoveredBy: () => true,
  close: () => undefined,
};

/** Reads the file now and looks every `reloadMs` whether it changed; one that is wrong is logged and the old one stays. @throws GmqError `invalid_argument` */
export function openMaskingRules(flag: string, path: string, reloadMs: number, logger: Logger): MaskingRules {
  const read = (): Compiled => compile(readDocument(flag, path, document).rules);
  let current = read();
  const watch = watchFiles([path], reloadMs, () => {
    try {
      current = read();
      logger.info("the portal's masking file was read again", { path });
    } catch (error) {
      logger.error("the portal's new masking file cannot be used, the old one stays", { error });
    }
  });
  return {
    get isOn() {
      return current.rules.length > 0;
    },
    list: () => current.rules,
    fieldsOf: (topic, role) => current.maskedOf(topic, role).fields,
    hasRules: (topic) => current.maskedOf(topic, undefined).rules.length > 0,
    isCoveredBy(topic, role, other) {
      const covered = new Set(current.maskedOf(topic, other).rules);
      return current.maskedOf(topic, role).rules.every((rule) => covered.has(rule));
    },
    close: watch.close,
  };
}

interface Masked {
  readonly rules: readonly Rule[];
  readonly fields: MaskedFields | undefined;
}

/** One reading of the file; each topic is looked at once for a role, not once for each record. */
interface Compiled {
  readonly rules: readonly Rule[];
  maskedOf(topic: string, role: PortalRole | undefined): Masked;
}

function compile(rules: readonly Rule[]): Compiled {
  const tests = rules.map((rule) => ({ rule, patterns: rule.topics.map(patternOf) }));
  let known = new Map<string, Masked>();
  return {
    rules,
    maskedOf(topic, role) {
      const name = `${role ?? ""} ${topic}`;
      let masked = known.get(name);
      if (masked === undefined) {
        const meant = tests.filter(
          ({ rule, patterns }) =>
            (role === undefined || !rule.except.includes(role)) && patterns.some((pattern) => pattern.test(topic)),
        );
        const fields = meant.flatMap(({ rule }) => rule.fields);
        masked = { rules: meant.map(({ rule }) => rule), fields: fields.length === 0 ? undefined : fieldsOf(fields) };
        if (known.size >= topicsMax) known = new Map();
        known.set(name, masked);
      }
      return masked;
    },
  };
}

/** A `*` in a pattern is any text. What a group has given up of a topic lies in `<topic>.<group>.dlq`, and is meant with the topic. */
function patternOf(pattern: string): RegExp {
  const text = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${text.join(".*")}(?:\\..+\\.dlq)?$`, "s");
}

function fieldsOf(fields: readonly string[]): MaskedFields {
  const headers = fields.filter((field) => field.startsWith("headers.")).map((field) => field.slice("headers.".length));
  return {
    key: fields.includes("key"),
    wholeValue: fields.includes("value"),
    valuePaths: fields.filter((field) => field.startsWith("value.")).map((field) => field.split(".").slice(1)),
    allHeaders: fields.includes("headers"),
    headers: new Set(headers.map((name) => name.toLowerCase())),
  };
}
