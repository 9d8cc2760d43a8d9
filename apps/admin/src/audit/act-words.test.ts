import { create, toJson } from "@bufbuild/protobuf";
import {
  AdminServiceRedriveRequestSchema,
  AdminServiceSettlePendingRequestSchema,
  PendingAction,
  RedriveAction,
} from "@gmq/protocol/messages";
import { describe, expect, it } from "vitest";
import { actsOf } from "../access/roles.js";
import { adminWrites } from "../calls/admin-routes.js";
import { actWords } from "./act-words.js";

describe("an act in words", () => {
  it("is a phrase for every act there is, and no two are called alike", () => {
    const acts = actsOf(adminWrites);
    const phrases = acts.map((action) => actWords(action));
    for (const phrase of phrases) expect(phrase).toMatch(/^[A-Z][a-z-]+( [a-z-]+)+$/);
    expect(new Set(phrases).size).toBe(acts.length);
  });

  it("tells apart what one call does in several ways, by the request as the audit keeps it", () => {
    const redrive = (action: RedriveAction): string => {
      const request = create(AdminServiceRedriveRequestSchema, { topic: "orders", group: "billing", action });
      return actWords("Redrive", JSON.stringify(toJson(AdminServiceRedriveRequestSchema, request)));
    };
    expect(redrive(RedriveAction.DISCARD)).toBe("Discard dead letters");
    expect(redrive(RedriveAction.REDRIVE)).toBe("Redrive dead letters");
    const settle = (action: PendingAction): string => {
      const request = create(AdminServiceSettlePendingRequestSchema, { offsets: [1n], action });
      return actWords("SettlePending", JSON.stringify(toJson(AdminServiceSettlePendingRequestSchema, request)));
    };
    expect(settle(PendingAction.ACK)).toBe("Ack pending records");
    expect(settle(PendingAction.RETRY)).toBe("Retry pending records");
    expect(settle(PendingAction.DEAD_LETTER)).toBe("Dead-letter pending records");
    expect(settle(PendingAction.CLAIM)).toBe("Claim pending records");
  });

  it("knows the choice of a job, which stands there by its number", () => {
    const asked =
      '{"redrive":{"topic":"orders","group":"billing","selected":[],"ratePerSecond":0,"dryRun":false,"action":2},"delayMs":10000}';
    expect(actWords("Redrive", asked)).toBe("Discard dead letters");
    expect(actWords("Redrive", asked.replace('"action":2', '"action":1'))).toBe("Redrive dead letters");
  });

  it("does not take a record's own text for a choice", () => {
    expect(actWords("Produce", '{"action":"REDRIVE_ACTION_DISCARD"}')).toBe("Produce a record");
  });
});
