import { create } from "@bufbuild/protobuf";
import { type GroupView, GroupViewSchema } from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import { createGroupTimeline } from "./group-timeline.js";

const view = (version: bigint, members: readonly string[], owners: readonly string[], hold = ""): GroupView =>
  create(GroupViewSchema, {
    group: "g",
    version,
    members: members.map((memberId) => ({ memberId, clientId: `of ${memberId}` })),
    partitions: owners.map((memberId, partition) => ({ topic: "t", partition, memberId, hold })),
  });
const told = (timeline: ReturnType<typeof createGroupTimeline>): string[] =>
  timeline
    .events("g")
    .events.map(({ kind, memberId, partition, fromMemberId }) =>
      kind === "moved" || kind === "held" ? `${kind} ${partition} ${fromMemberId}>${memberId}` : `${kind} ${memberId}`,
    );

it("tells joins, leaves and moves, newest first, and nothing of the first look", () => {
  const timeline = createGroupTimeline();
  timeline.note(view(1n, ["a"], ["a", "a"]), 10);
  expect(timeline.events("g")).toEqual({ events: [], watchedSinceMs: 10 });
  timeline.note(view(2n, ["a", "b"], ["a", "b"]), 20);
  timeline.note(view(2n, ["a", "b"], ["a", "b"]), 30);
  timeline.note(view(3n, ["b"], ["b", "b"]), 40);
  expect(told(timeline)).toEqual(["moved 0 a>b", "left a", "moved 1 a>b", "joined b"]);
  timeline.note(view(4n, ["b"], ["", ""], "paused"), 50);
  expect(told(timeline).slice(0, 2)).toEqual(["held 0 b>", "held 1 b>"]);
});

it("keeps no more than 200 events", () => {
  const timeline = createGroupTimeline();
  for (let turn = 0; turn < 300; turn++) timeline.note(view(BigInt(turn), [`m-${turn}`], []), turn);
  expect(timeline.events("g").events).toHaveLength(200);
  expect(timeline.events("g").events[0]?.memberId).toBe("m-299");
});
