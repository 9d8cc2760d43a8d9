/** Decoding, files and figures of the explorer, the topic and the group, checked against what was stored. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { DeadLetterPlaceSchema, TopicInfoSchema } from "@gmq/protocol/messages";
import { decodeMulti } from "@msgpack/msgpack";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessibilityProblems } from "./checks/axe.js";
import { bigNumber } from "./stage/seed.js";
import { type Stage, setStage } from "./stage/stage.js";

let stage: Stage;
let page: Page;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  stage = await setStage({ orders: 80, services: { adminArgs: ["--data", join(folder.path, "data")] } });
  page = await stage.browser.context.newPage();
});
afterAll(async () => {
  await stage?.stop();
  await folder?.remove();
});

/** A file after all that it imports. */
function filesOf(file: typeof TopicInfoSchema.file): FileDescriptorProto[] {
  return [...file.dependencies.flatMap(filesOf), file.proto];
}

it("decodes keys and values by an uploaded descriptor set, which the portal keeps", async () => {
  const { gmq } = stage.seed;
  await gmq.admin.createTopic("typed", { partitions: 1 });
  const producer = gmq.producer();
  const value = create(TopicInfoSchema, { name: "from protobuf", createdAtMs: BigInt(bigNumber) });
  await producer.send("typed", {
    key: toBinary(DeadLetterPlaceSchema, create(DeadLetterPlaceSchema, { partition: 77, offset: 5n })),
    value: toBinary(TopicInfoSchema, value),
  });
  await producer.send("typed", { value: Uint8Array.from([0xff, 0xff]) });
  await producer.close();
  const all = [...filesOf(DeadLetterPlaceSchema.file), ...filesOf(TopicInfoSchema.file)];
  const file = [...new Map(all.map((proto) => [proto.name, proto])).values()];
  const path = join(folder.path, "set.binpb");
  await writeFile(path, toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file })));
  const bad = join(folder.path, "bad.binpb");
  await writeFile(bad, Uint8Array.from([1, 2, 3]));

  await page.goto(stage.url("/topics/typed/messages"));
  await page.getByLabel("Values as").selectOption("protobuf");
  await page.getByText("(the topic has no descriptors for it)").first().waitFor();
  await page.getByLabel("Keys as").selectOption("protobuf");
  await page.getByRole("button", { name: "Protobuf…" }).click();
  await page.getByLabel("Descriptor set").setInputFiles(bad);
  await page.getByText("No FileDescriptorSet with all its imports").waitFor();
  await page.getByLabel("Descriptor set").setInputFiles(path);
  await page.getByLabel("Values are").selectOption("gmq.v1.TopicInfo");
  await page.getByLabel("Keys are").selectOption("gmq.v1.DeadLetterPlace");
  expect(await accessibilityProblems(page.getByRole("button", { name: "Keep", exact: true }))).toEqual([]);
  await page.getByRole("button", { name: "Keep", exact: true }).click();
  const rows = page.getByRole("table", { name: "Records" });
  await rows.getByText(`"createdAtMs":"${bigNumber}"`).waitFor();
  await rows.getByText('{"partition":77,"offset":"5"}').waitFor();
  await rows.getByText("(no such message) ff ff").waitFor();

  const admin = stage.services.part("admin");
  await admin.kill();
  await admin.restart();
  await page.goto(stage.url("/topics/typed/records/0/0?as=protobuf&keyas=protobuf"));
  await page.getByRole("region", { name: "Value" }).getByText(`"${bigNumber}"`).waitFor();
  await page.getByRole("region", { name: "Key" }).getByText("77").waitFor();
  expect(await accessibilityProblems(page.getByRole("main"))).toEqual([]);
});

it("exports a JSON array and MessagePack that hold every record", async () => {
  for (const [format, read] of [
    ["json", (bytes: Buffer) => JSON.parse(bytes.toString("utf8")) as { offset: string }[]],
    [
      "msgpack",
      (bytes: Buffer) => [...decodeMulti(bytes, { useBigInt64: true })] as { offset: bigint; value: Uint8Array }[],
    ],
  ] as const) {
    await page.goto(stage.url("/topics/odd-values/messages?from=oldest"));
    await page.getByRole("button", { name: "Export…" }).click();
    await page.getByLabel("Format").selectOption(format);
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export", exact: true }).click();
    const records = read(await readFile(await (await downloading).path()));
    expect(records.map(({ offset }) => String(offset))).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
  }
});

it("takes a sample of keys and says of how many records it is", async () => {
  await page.goto(stage.url("/topics/orders"));
  await page.getByRole("button", { name: "Take a sample" }).click();
  await page.getByText("all 80 records · 40 keys").waitFor();
  const heaviest = page.getByRole("table", { name: "Heaviest keys of orders" });
  await heaviest.getByText("2.5%").first().waitFor();
  expect(await accessibilityProblems(heaviest)).toEqual([]);
  await page.getByRole("table", { name: "Partitions of orders" }).getByText("billing: order-service").first().waitFor();
});

it("tells who joined, left and got another partition, and how the lag moves", async () => {
  await page.goto(stage.url("/groups/fraud-check"));
  await page.getByText("Nobody joined, left or got another partition").waitFor();
  await page.getByRole("table", { name: "Partitions of fraud-check" }).getByText("steady").first().waitFor();
  const reader = stage.seed.gmq.consumer("orders", { group: "fraud-check" });
  const batch = await reader.receive({ max: 5, timeoutMs: 20_000 });
  const events = page.getByRole("table", { name: "Rebalances of fraud-check" });
  await events.getByText("joined", { exact: true }).waitFor();
  await events.getByText(/orders \/ 0: nobody → /).waitFor();
  await batch?.ack();
  await reader.close();
  await events.getByText("left", { exact: true }).waitFor();
  expect(await accessibilityProblems(events)).toEqual([]);
});
