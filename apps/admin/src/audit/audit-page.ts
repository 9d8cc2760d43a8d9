import { GmqError } from "@gmq/protocol";
import type { PortalAuditEntry, PortalServiceListAuditRequest } from "@gmq/protocol/messages";
import { actWords } from "./act-words.js";
import type { AuditLog } from "./audit-log.js";

const pageDefault = 100;
const pageMax = 500;

/** The entries that a page asks for, newest first. @throws GmqError `invalid_argument` */
export function auditPage(
  audit: Pick<AuditLog, "entries">,
  request: PortalServiceListAuditRequest,
): { entries: PortalAuditEntry[]; more: boolean } {
  const { limit, before } = request;
  if (limit > pageMax) {
    throw new GmqError("invalid_argument", `limit is ${limit}`, { field: "limit", limit: `1 to ${pageMax}` });
  }
  const matches = matcherOf(request);
  const found = audit.entries().filter((entry) => (before === 0n || entry.sequence < before) && matches(entry));
  const size = limit === 0 ? pageDefault : limit;
  return { entries: found.slice(0, size), more: found.length > size };
}

function matcherOf(request: PortalServiceListAuditRequest): (entry: PortalAuditEntry) => boolean {
  const { outcome, action, actor, fromMs, toMs } = request;
  const text = request.text.toLowerCase();
  const textOf = ({ actor, action, target, outcome, problem, requestJson }: PortalAuditEntry): string =>
    [actor, action, actWords(action, requestJson), target, outcome, problem, requestJson].join("\n").toLowerCase();
  return (entry) =>
    (outcome === "" || entry.outcome === outcome) &&
    (action === "" || entry.action === action) &&
    (actor === "" || entry.actor === actor) &&
    (fromMs === 0n || entry.atMs >= fromMs) &&
    (toMs === 0n || entry.atMs < toMs) &&
    (text === "" || textOf(entry).includes(text));
}
