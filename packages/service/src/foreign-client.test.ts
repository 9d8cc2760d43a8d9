/** A client that we did not write: @grpc/grpc-js, with descriptors that it learns from reflection. */

import { create, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { silentLogger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { reflectionV1, reflectionV1Alpha } from "@gmq/protocol/grpc";
import { AdminService, BrokerService } from "@gmq/protocol/messages";
import { connectFrameHandler, createNodeTransport } from "@gmq/transport";
import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromObject } from "@grpc/proto-loader";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Listener, listen } from "./listen.js";
import { reflectionRoutes } from "./reflection.js";

let listener: Listener;

beforeEach(async () => {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: silentLogger,
    routes: (router) => {
      router.service(BrokerService, {
        publish({ topic }) {
          if (topic === "") throw new GmqError("invalid_name", "topic is empty");
          return { topic, partition: 2, offset: 7n };
        },
        session: connectFrameHandler(
          (stream) => {
            const frame = (request: { correlationId: number }) =>
              stream.send({ correlationId: request.correlationId, frame: { case: "heartbeat", value: {} } });
            stream.start({ frame, drain() {}, end: () => stream.close() });
          },
          { frameBytes: () => 10 },
        ),
      });
      reflectionRoutes([BrokerService, AdminService])(router);
    },
  });
});
afterEach(() => listener.close({ drainMs: 0 }));

type Question = Parameters<typeof ask>[1];

async function ask(
  service: typeof reflectionV1.ServerReflection,
  messageRequest: { case: "listServices" | "fileByFilename" | "fileContainingSymbol"; value: string },
) {
  const node = createNodeTransport({ url: listener.url });
  const client = createClient(service, node.transport);
  async function* questions() {
    yield create(reflectionV1.ServerReflectionRequestSchema, { host: "h", messageRequest });
  }
  try {
    for await (const answer of client.serverReflectionInfo(questions())) return answer.messageResponse;
    throw new Error("no answer");
  } finally {
    node.close();
  }
}

it.each([
  ["v1", reflectionV1.ServerReflection],
  ["v1alpha", reflectionV1Alpha.ServerReflection as unknown as typeof reflectionV1.ServerReflection],
])("reflects its services over %s", async (_version, service) => {
  const all = await ask(service, { case: "listServices", value: "*" });
  expect(all).toMatchObject({ case: "listServicesResponse" });
  expect(JSON.stringify(all?.value)).toContain("gmq.v1.AdminService");
  const questions: Question[] = [
    { case: "fileContainingSymbol", value: "gmq.v1.BrokerService.Publish" },
    { case: "fileContainingSymbol", value: "gmq.v1.PublishRequest" },
    { case: "fileByFilename", value: "gmq/v1/broker.proto" },
  ];
  for (const question of questions) {
    const files = await ask(service, question);
    if (files?.case !== "fileDescriptorResponse") throw new Error(`unexpected ${files?.case}`);
    const names = files.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
    expect(names[0]).toBe("gmq/v1/broker.proto");
    expect(names).toContain("gmq/v1/record.proto");
  }
  expect(await ask(service, { case: "fileContainingSymbol", value: "gmq.v1.Nothing" })).toMatchObject({
    case: "errorResponse",
    value: { errorCode: 5 },
  });
});

it("serves a foreign client that learnt everything from reflection", async () => {
  const answer = await ask(reflectionV1.ServerReflection, {
    case: "fileContainingSymbol",
    value: "gmq.v1.BrokerService",
  });
  if (answer?.case !== "fileDescriptorResponse") throw new Error(`unexpected ${answer?.case}`);
  const set = create(FileDescriptorSetSchema, {
    file: answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)),
  });
  const definition = loadFileDescriptorSetFromObject(toJson(FileDescriptorSetSchema, set) as object, { longs: String });
  // biome-ignore lint/suspicious/noExplicitAny: a client made at run time has no types
  const { gmq } = loadPackageDefinition(definition) as any;
  const client = new gmq.v1.BrokerService(listener.url.replace("http://", ""), credentials.createInsecure());

  const publish = (request: object) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      client.publish(request, (error: ServiceError | null, response: Record<string, unknown>) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  expect(await publish({ topic: "orders" })).toMatchObject({ topic: "orders", partition: 2, offset: "7" });
  await expect(publish({})).rejects.toMatchObject({ code: 3, details: "topic is empty" });

  const session = client.session();
  const ids: number[] = [];
  const status = new Promise<{ code: number }>((resolve) => session.on("status", resolve));
  session.on("data", (frame: Record<string, unknown>) => {
    ids.push((frame.correlationId ?? frame.correlation_id) as number);
    if (ids.length === 3) session.end();
  });
  for (let id = 1; id <= 3; id++) session.write({ correlationId: id, correlation_id: id, heartbeat: {} });
  expect((await status).code).toBe(0);
  expect(ids).toEqual([1, 2, 3]);
  client.close();
});
