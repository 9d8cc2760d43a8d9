import { create } from "@bufbuild/protobuf";
import { AssignedSchema, DeliverSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createFakeLink } from "../test/harness/fake-link.js";
import { createConsumer } from "./message-reader.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("receive ends at its deadline, however often there was something that another reader had", async () => {
  const { link, requests, comes } = createFakeLink();
  const consumer = createConsumer(link, "t", { group: "g" }, () => undefined);
  const subscribe = requests[0]?.frame;
  if (subscribe?.case !== "subscribe") throw new Error("nothing was subscribed");
  const subscriptionId = subscribe.value.subscriptionId ?? 0;
  comes({ case: "assigned", value: create(AssignedSchema, { subscriptionId, assignments: [{ assignmentId: 1 }] }) });
  let received: unknown = "nothing yet";
  void consumer.receive({ timeoutMs: 1_000 }).then((batch) => {
    received = batch;
  });
  await vi.advanceTimersByTimeAsync(900);
  comes({ case: "deliver", value: create(DeliverSchema, { assignmentId: 1 }) });
  await vi.advanceTimersByTimeAsync(99);
  expect(received).toBe("nothing yet");
  await vi.advanceTimersByTimeAsync(2);
  expect(received).toBeNull();
});
