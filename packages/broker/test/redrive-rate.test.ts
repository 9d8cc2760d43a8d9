/** The rate of a redrive has bounds at the wire, whoever calls: the refusal names the field and the limit. */
import { AdminService } from "@gmq/protocol/messages";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
beforeAll(async () => {
  test = await startTestBroker({});
});
afterAll(() => test.stop());

async function redrive(ratePerSecond: number): Promise<number> {
  const admin = test.client(AdminService);
  let frames = 0;
  for await (const _ of admin.redrive({ topic: "t", group: "g", ratePerSecond, dryRun: true })) frames++;
  return frames;
}

it("is refused below 0 and above the limit", async () => {
  for (const rate of [-1, 1_000_001]) {
    await expect(redrive(rate)).rejects.toMatchObject({
      code: "invalid_argument",
      field: "rate_per_second",
      limit: expect.stringContaining("1000000"),
    });
  }
  // Good rates get as far as the topic that is not there.
  for (const rate of [0, 1, 1_000_000]) await expect(redrive(rate)).rejects.toMatchObject({ code: "topic_not_found" });
});
