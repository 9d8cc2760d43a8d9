import type { HandlerContext } from "@connectrpc/connect";
import { anybody, type Caller, peerConnectionKey } from "@gmq/transport";

/** What people may do: viewers look, operators also act on records and groups, admins also on topics and what cannot be taken back. */
export const portalRoles = ["viewer", "operator", "admin"] as const;
export type PortalRole = (typeof portalRoles)[number];

/** A role by its name; undefined: none, as where access is off. */
export function portalRole(name: string): PortalRole | undefined {
  return portalRoles.find((role) => role === name);
}

/** Somebody who logged in, or a program with a token. */
export interface PortalCaller extends Caller {
  readonly role: PortalRole;
}

/** Acts of operators. An act that is not here needs an admin, so that a new one is safe before somebody thought of it. */
const operatorActs: ReadonlySet<string> = new Set([
  "Produce",
  "ProduceLines",
  "Republish",
  "Redrive",
  "RedriveEdited",
  "SettlePending",
  "PauseGroup",
  "ResumeGroup",
  "ResetGroup",
  "SilenceAlert",
  "EndSilence",
  "TestAlertWebhook",
]);

/** Acts of the portal's own, beside the writes of AdminService. */
const portalActs = [
  "Produce",
  "ProduceLines",
  "Republish",
  "RedriveEdited",
  "SetDescriptors",
  "SilenceAlert",
  "EndSilence",
  "TestAlertWebhook",
];

/** Every act, by the name that the audit gives it. */
export function actsOf(adminWrites: readonly string[]): readonly string[] {
  return [...new Set([...portalActs, ...adminWrites])].sort();
}

/** The least role for an act of the audit, for example "DeleteTopic". */
export function roleFor(action: string): PortalRole {
  return operatorActs.has(action) ? "operator" : "admin";
}

/** Whether somebody of this role may do what this role is asked for. */
export function isEnough(has: PortalRole, needed: PortalRole): boolean {
  return portalRoles.indexOf(has) >= portalRoles.indexOf(needed);
}

/** A caller of the portal; `problem` says whether it may go on. */
export function portalCaller(name: string, role: PortalRole, problem: Caller["problem"]): PortalCaller {
  return { ...anybody, name, role, problem };
}

/** Who makes a call; undefined while access is off. */
export function portalCallerOf({ values }: Pick<HandlerContext, "values">): PortalCaller | undefined {
  const { caller } = values.get(peerConnectionKey);
  return "role" in caller ? (caller as PortalCaller) : undefined;
}
