import { create, toBinary } from "@bufbuild/protobuf";
import { limits } from "@gmq/protocol";
import { LinkRequestSchema, LinkResponseSchema } from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import type { GroupMemberSpec, PartitionSettle, SettleRange } from "../engine.js";
import type { Links } from "./links.js";
import { createRemoteGroups } from "./remote-groups.js";
import type { LinkFrame, StorageLink } from "./storage-link.js";

/** Links to one service, of which only this is there. */
function linksTo(link: Partial<StorageLink> | { readonly client: unknown }): Links {
  return { for: async () => link, readyFor: () => link } as unknown as Links;
}

it("renews the sessions of any number of members, as many in a call as fit one", async () => {
  interface Request {
    readonly members: readonly { readonly memberId: string }[];
  }
  const calls: number[] = [];
  const groups = createRemoteGroups(
    linksTo({
      client: {
        async heartbeatMembers({ members }: Request) {
          calls.push(members.length);
          return { members: members.map(({ memberId }) => ({ fenced: false, groupVersion: BigInt(memberId) })) };
        },
      },
    }),
  );
  const members = Array.from(
    { length: 70_000 },
    (_, index) => ({ group: "g", memberId: `${index}` }) as GroupMemberSpec,
  );
  const liveness = await groups.heartbeat(members);
  expect(liveness.map(({ groupVersion }) => groupVersion)).toEqual(members.map((_, index) => index));
  expect(calls).toEqual(new Array(7).fill(10_000));
  expect(await groups.heartbeat([])).toEqual([]);
  expect(calls).toHaveLength(7);
  const longest = "x".repeat(limits.nameLengthMax);
  expect((calls[0] as number) * (3 * (longest.length + 3) + 10)).toBeLessThan(limits.frameBytesMax);
});

it("settles any number of ranges in frames that a service takes, and can refuse all of them in one", async () => {
  const frames: { readonly bytes: number; readonly ranges: number; readonly settles: number }[] = [];
  const groups = createRemoteGroups(
    linksTo({
      async request(frame: LinkFrame) {
        const message = create(LinkRequestSchema, { frame });
        if (message.frame.case !== "settle") throw new Error(`a frame ${message.frame.case}`);
        const { settles } = message.frame.value;
        const ranges = settles.flatMap(({ entries }) => entries.flatMap((entry) => entry.ranges)).length;
        frames.push({ bytes: toBinary(LinkRequestSchema, message).length, ranges, settles: settles.length });
        const partitions = settles.map(({ ownership }) => ({
          refusals: [{ firstOffset: BigInt(ownership?.partition ?? -1) }],
        }));
        return create(LinkResponseSchema, { frame: { case: "settled", value: { partitions } } }).frame;
      },
    }),
  );
  const range = (index: number): SettleRange => {
    const offset = 2n ** 62n + BigInt(2 * index);
    return { firstOffset: offset, lastOffset: offset, verb: "retry", delayMs: limits.retryDelayMsMax, inPlace: true };
  };
  const ranges = Array.from({ length: limits.settleRangesPerFrameMax }, (_, index) => range(index));
  const settleOf = (partition: number, own: readonly SettleRange[]): PartitionSettle => ({
    ownership: { topic: "t", partition, group: "g", memberId: "m", epoch: 1 },
    entries: own.map((one) => ({ baseOffset: one.firstOffset, recordCount: 1, ranges: [one] })),
  });
  const large = Array.from({ length: 16 }, (_, partition) => settleOf(partition, ranges));
  const small = Array.from({ length: 1_000 }, (_, index) => settleOf(16 + index, [range(index)]));

  const outcomes = await groups.settle([...large, ...small]);
  expect(outcomes.map((outcome) => outcome.ok && outcome.refusals[0]?.firstOffset)).toEqual(
    outcomes.map((_, index) => BigInt(index)),
  );
  expect(outcomes).toHaveLength(1_016);
  expect(Math.max(...frames.map(({ bytes }) => bytes))).toBeLessThan(limits.frameBytesMax);
  expect(Math.max(...frames.map(({ ranges: count }) => count))).toBeLessThanOrEqual(limits.settleRangesPerFrameMax);
  expect(frames.map(({ settles }) => settles)).toEqual([...new Array(16).fill(1), 1_000]);
});
