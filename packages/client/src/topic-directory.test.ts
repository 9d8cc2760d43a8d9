import { create } from "@bufbuild/protobuf";
import { ResolvedTopicSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createFakeLink } from "../test/harness/fake-link.js";
import { createTopicDirectory } from "./topic-directory.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

it("asks once for all, and who gives up takes nobody along", async () => {
  let opened = (): void => undefined;
  const fake = createFakeLink();
  const opening = new Promise<void>((resolve) => {
    opened = resolve;
  });
  // As the link does: it waits within what the caller allows.
  const whenOpen: typeof fake.link.whenOpen = async ({ signal }) => {
    const given = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    await Promise.race([opening, given]);
    return fake.link.whenOpen({});
  };
  const directory = createTopicDirectory({ ...fake.link, whenOpen });
  const abort = new AbortController();
  const first = directory.partitions("t", { signal: abort.signal });
  const second = directory.partitions("t", { timeoutMs: 60_000 });
  abort.abort();
  await expect(first).rejects.toBeDefined();
  opened();
  await turn();
  const third = directory.partitions("t", {});
  await turn();
  expect(fake.requests.map(({ frame }) => frame.case)).toEqual(["resolveTopic"]);
  fake.requests[0]?.answer({ case: "resolvedTopic", value: create(ResolvedTopicSchema, { partitions: 7 }) });
  expect(await Promise.all([second, third])).toEqual([7, 7]);
});

it("gives a question without an answer up after a time, and asks anew", async () => {
  const { link, requests } = createFakeLink();
  const directory = createTopicDirectory(link);
  const asked = expect(directory.partitions("t", {})).rejects.toMatchObject({ code: "deadline_exceeded" });
  await vi.advanceTimersByTimeAsync(30_000);
  await asked;
  const again = directory.partitions("t", {});
  await turn();
  requests[1]?.answer({ case: "resolvedTopic", value: create(ResolvedTopicSchema, { partitions: 3 }) });
  expect(await again).toBe(3);
});
