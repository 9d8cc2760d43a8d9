import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { silentLogger } from "@gmq/log";
import { PartitionStatsSchema, PortalServiceSetDescriptorsRequestSchema } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDescriptors } from "./descriptors.js";

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "gmq-descriptors-test-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const descriptorSet = toBinary(
  FileDescriptorSetSchema,
  create(FileDescriptorSetSchema, { file: [PartitionStatsSchema.file.proto] }),
);
const request = create(PortalServiceSetDescriptorsRequestSchema, {
  topic: "orders",
  descriptorSet,
  valueType: "gmq.v1.PartitionStats",
  fileName: "set.binpb",
});

it("keeps them over a restart, and forgets them when they are taken away", async () => {
  const first = await openDescriptors(data, silentLogger);
  await first.set(request);
  const second = await openDescriptors(data, silentLogger);
  expect(second.get("orders")).toEqual(request);
  await second.set({ ...request, descriptorSet: new Uint8Array() });
  expect(second.get("orders")).toBeUndefined();
  expect((await openDescriptors(data, silentLogger)).get("orders")).toBeUndefined();
});

it("refuses what is none, what is too large, an unknown message and a name that leads elsewhere", async () => {
  const { set } = await openDescriptors(data, silentLogger);
  const refused = (change: Partial<typeof request>) => expect(set({ ...request, ...change })).rejects;
  await refused({ descriptorSet: Uint8Array.from([1, 2, 3]) }).toMatchObject({ field: "descriptor_set" });
  await refused({ descriptorSet: new Uint8Array(600 * 1024) }).toMatchObject({ field: "descriptor_set" });
  await refused({ valueType: "gmq.v1.Nothing" }).toMatchObject({ code: "invalid_argument", field: "value_type" });
  await refused({ topic: "../outside" }).toMatchObject({ code: "invalid_name" });
});
