/** How long administrative calls may take, in what they hand to their connection. */
import { create } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { AdminServiceDescribeTopicResponseSchema, WelcomeSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createFakeLink } from "../test/harness/fake-link.js";
import { createAdminCalls } from "./admin-calls.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Calls over a link that takes `openMs` to open, to a broker that takes `answerMs`. */
function start(openMs: number, answerMs: number) {
  const given: (number | undefined)[] = [];
  const answer = async (limits: { readonly timeoutMs?: number }, value: unknown): Promise<unknown> => {
    given.push(limits.timeoutMs);
    await new Promise((resolve) => setTimeout(resolve, answerMs));
    if (value instanceof Error) throw value;
    return value;
  };
  const described = create(AdminServiceDescribeTopicResponseSchema, { topic: { name: "t", version: 1n } });
  const client = {
    describeTopic: (_: unknown, limits: { readonly timeoutMs?: number }) => answer(limits, described),
    alterTopic: (_: unknown, limits: { readonly timeoutMs?: number }) =>
      answer(limits, new GmqError("conflict", "somebody was faster")),
  };
  const admin = createAdminCalls(
    {
      ...createFakeLink().link,
      async whenOpen() {
        if (openMs > 0) await new Promise((resolve) => setTimeout(resolve, openMs));
        return create(WelcomeSchema, {});
      },
      calls: () => ({ client: () => client as never, drop: () => undefined, close: () => undefined }),
    },
    () => undefined,
  );
  return { admin, given };
}

it("have what the link has left them of their time", async () => {
  const { admin, given } = start(3_000, 0);
  const called = admin.describeTopic("t");
  await vi.advanceTimersByTimeAsync(4_000);
  await called;
  expect(given).toEqual([7_000]);
});

it("have a deadline also when they are not to wait", async () => {
  const { admin, given } = start(0, 0);
  const called = admin.describeTopic("t", { timeoutMs: 0 });
  await vi.advanceTimersByTimeAsync(10);
  await called;
  expect(given).toEqual([1]);
});

it("of one change have its time, however often it is tried", async () => {
  const { admin, given } = start(0, 500);
  const changed = admin.alterTopic("t", { bytesMax: null }, { timeoutMs: 4_000 });
  const failed = expect(changed).rejects.toMatchObject({ code: "conflict" });
  await vi.advanceTimersByTimeAsync(20_000);
  await failed;
  expect(given).toEqual([4_000, 3_500, 3_000, 2_500, 2_000, 1_500, 1_000, 500, 1, 1]);
});
