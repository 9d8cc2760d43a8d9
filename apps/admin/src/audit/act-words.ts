/** Acts as people write them. The audit names an act by its call, which programs go by; pages and their filter go by these. */

import { PendingAction, RedriveAction } from "@gmq/protocol/messages";

/** The words of each act that its call's name, taken apart, does not give. */
const words: Readonly<Record<string, string>> = {
  Produce: "Produce a record",
  ProduceLines: "Produce a file",
  Republish: "Re-publish records",
  ExportRecords: "Export records",
  Redrive: "Redrive dead letters",
  RedriveEdited: "Redrive an edited dead letter",
  SettlePending: "Settle pending records",
  ResetGroup: "Reset offsets",
  SetDescriptors: "Set protobuf descriptors",
  SilenceAlert: "Silence an alert",
  EndSilence: "End a silence",
  TestAlertWebhook: "Test the alert webhook",
};

/** What a request with a choice asked for. The choice stands in the request as JSON: by name in a call's, by number in a job's. */
const choices: readonly (readonly [action: string, name: string, number: number, words: string])[] = [
  ["Redrive", "REDRIVE_ACTION_DISCARD", RedriveAction.DISCARD, "Discard dead letters"],
  ["SettlePending", "PENDING_ACTION_ACK", PendingAction.ACK, "Ack pending records"],
  ["SettlePending", "PENDING_ACTION_RETRY", PendingAction.RETRY, "Retry pending records"],
  ["SettlePending", "PENDING_ACTION_DEAD_LETTER", PendingAction.DEAD_LETTER, "Dead-letter pending records"],
  ["SettlePending", "PENDING_ACTION_CLAIM", PendingAction.CLAIM, "Claim pending records"],
];

/** An act of the audit in words: "Delete topic" for "DeleteTopic". `requestJson` tells acts of one call apart; without it the call is named as a whole. */
export function actWords(action: string, requestJson = ""): string {
  const asked = /"action":"?(\w+)/.exec(requestJson)?.[1];
  const chosen = choices.find(([of, name, number]) => of === action && (asked === name || asked === String(number)));
  return chosen?.[3] ?? words[action] ?? action.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
