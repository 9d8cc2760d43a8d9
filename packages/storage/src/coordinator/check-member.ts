import { checkName, GmqError, limits } from "@gmq/protocol";
import type { GroupMemberSpec } from "../engine.js";

/** Refuses a member that breaks a rule. @throws GmqError `invalid_name`, `invalid_argument` naming field and limit */
export function checkMember(member: GroupMemberSpec): void {
  const { group, memberId, incarnation, topics, sessionTimeoutMs } = member;
  checkName("group", group);
  checkName("member_id", memberId);
  if (incarnation === "" || incarnation.length > limits.nameLengthMax) {
    throw invalid("incarnation", `has ${incarnation.length} characters`, `1 to ${limits.nameLengthMax} characters`);
  }
  for (const [field, text] of [
    ["client_id", member.clientId],
    ["client_version", member.clientVersion],
    ["broker_id", member.brokerId],
  ] as const) {
    const bytes = Buffer.byteLength(text);
    if (bytes > limits.clientTextBytesMax)
      throw invalid(field, `has ${bytes} bytes`, `${limits.clientTextBytesMax} bytes`);
  }
  if (topics.length < 1 || topics.length > limits.topicsPerSubscriptionMax) {
    throw invalid("topics", `names ${topics.length} topics`, `1 to ${limits.topicsPerSubscriptionMax} topics`);
  }
  for (const topic of topics) checkName("topic", topic);
  const { sessionTimeoutMsMin, sessionTimeoutMsMax } = limits;
  const isTimeout =
    Number.isInteger(sessionTimeoutMs) &&
    sessionTimeoutMs >= sessionTimeoutMsMin &&
    sessionTimeoutMs <= sessionTimeoutMsMax;
  if (!isTimeout) {
    throw invalid(
      "session_timeout_ms",
      `is ${sessionTimeoutMs}`,
      `${sessionTimeoutMsMin} to ${sessionTimeoutMsMax} ms`,
    );
  }
}

function invalid(field: string, problem: string, limit: string): GmqError {
  return new GmqError("invalid_argument", `${field} ${problem}`, { field, limit });
}
