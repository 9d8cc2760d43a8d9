/** What a caller has to be allowed for a request; asked before the store is, so that nobody learns what there is by being refused. */
import { GmqError } from "@gmq/protocol";
import type { Action, Caller } from "@gmq/transport";

/** @throws GmqError `permission_denied` naming action and topic */
export function requireTopic(caller: Caller, action: Action, topic: string): void {
  if (!caller.mayTopic(action, topic)) throw denied(caller, action, "topic", topic);
}

/** @throws GmqError `permission_denied` naming action and group */
export function requireGroup(caller: Caller, action: Action, group: string): void {
  if (!caller.mayGroup(action, group)) throw denied(caller, action, "group", group);
}

/** Whether the caller may know that the topic is there: any right to it will do. */
export function maySeeTopic(caller: Caller, topic: string): boolean {
  return caller.mayTopic("admin", topic) || caller.mayTopic("consume", topic) || caller.mayTopic("publish", topic);
}

/** Whether the caller may read its records. */
export function mayReadTopic(caller: Caller, topic: string): boolean {
  return caller.mayTopic("consume", topic) || caller.mayTopic("admin", topic);
}

/** Whether the caller may know of the group, its places and members. */
export function maySeeGroup(caller: Caller, group: string): boolean {
  return caller.mayGroup("consume", group) || caller.mayGroup("admin", group);
}

/** The refusal itself. */
export function denied({ name }: Caller, action: string, field: "topic" | "group", target: string): GmqError {
  return new GmqError("permission_denied", `${name} may not ${action} ${field} ${target.slice(0, 249)}`, {
    field,
    limit: action,
  });
}
