/**
 * Brokers as somebody sees them from whom fields are masked. Every record that the portal shows, filters, exports or counts keys of is read through these three
 * calls, so nothing else has to know of masking; what is masked cannot be found by a filter either.
 */
import { readDeadLetterFacts } from "@gmq/protocol";
import type {
  AdminServiceBrowseRecordsResponse,
  AdminServiceExplainGroupResponse,
  AdminServiceListDeadLettersResponse,
  BrowsedRecord,
  Record as StoredRecord,
} from "@gmq/protocol/messages";
import type { PortalRole } from "../access/roles.js";
import type { BrokerClients, Brokers } from "../calls/brokers.js";
import { checkKeyFilter } from "./key-filter.js";
import { maskRecord } from "./mask-record.js";
import type { MaskingRules } from "./masking-rules.js";

/** The brokers with what is masked for the role; the same brokers when there are no rules. */
export function maskedBrokers(brokers: Brokers, rules: MaskingRules, role: PortalRole | undefined): Brokers {
  if (!rules.isOn) return brokers;
  const masked = (clients: BrokerClients): BrokerClients => maskedClients(clients, rules, role);
  return {
    ...brokers,
    read: (ask, signal) => brokers.read((clients, asked) => ask(masked(clients), asked), signal),
    write: (ask) => brokers.write((clients) => ask(masked(clients))),
    async find(brokerId) {
      const found = await brokers.find(brokerId);
      return found && masked(found);
    },
  };
}

function maskedClients(clients: BrokerClients, rules: MaskingRules, role: PortalRole | undefined): BrokerClients {
  const { admin } = clients;
  const maskOne = (topic: string, record: StoredRecord): { record: StoredRecord; masked: boolean } => {
    const fields = rules.fieldsOf(topic, role);
    const own = fields === undefined ? { record, masked: false } : maskRecord(record, fields);
    // A dead letter's topic may have been cut short: its record says where it comes from.
    const origin = readDeadLetterFacts(record.headers)?.topic;
    const originFields = origin === undefined || origin === topic ? undefined : rules.fieldsOf(origin, role);
    if (originFields === undefined) return own;
    const both = maskRecord(own.record, originFields);
    return { record: both.record, masked: own.masked || both.masked };
  };
  const maskBrowsed = (topic: string, browsed: BrowsedRecord): BrowsedRecord =>
    browsed.record === undefined ? browsed : { ...browsed, ...maskOne(topic, browsed.record) };
  return {
    ...clients,
    admin: {
      ...admin,
      async browseRecords(request, options): Promise<AdminServiceBrowseRecordsResponse> {
        const answer = await admin.browseRecords(request, options);
        const topic = request.topic ?? "";
        return { ...answer, records: answer.records.map((browsed) => maskBrowsed(topic, browsed)) };
      },
      async listDeadLetters(request, options): Promise<AdminServiceListDeadLettersResponse> {
        checkKeyFilter(rules, role, request.topic ?? "", request.filter);
        const answer = await admin.listDeadLetters(request, options);
        const letters = answer.letters.map((letter) =>
          letter.record === undefined ? letter : { ...letter, ...maskOne(letter.topic, letter.record) },
        );
        return { ...answer, letters };
      },
      async explainGroup(request, options): Promise<AdminServiceExplainGroupResponse> {
        const answer = await admin.explainGroup(request, options);
        if (rules.fieldsOf(request.topic ?? "", role)?.key !== true) return answer;
        // The broker names the key of the record that it waits for.
        const conditions = answer.conditions.map((one) => ({ ...one, text: one.text.replace(/ \(key .*\)/s, "") }));
        return { ...answer, conditions };
      },
    },
  };
}
