import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { GetGroupRequestSchema, StorageService } from "@gmq/protocol/messages";
import { afterEach, expect, it } from "vitest";
import { anybody } from "../caller.js";
import { createCallConnection } from "./call-connection.js";
import { frameCodec, pathOfMethod, protobufDecoderOf } from "./frame-method.js";
import { createLeanSession } from "./lean-session.js";
import { messagePrefix } from "./message-framing.js";
import { openLeanRequest } from "./request.js";
import { leanUnaryHandlers, type UnaryCalls } from "./unary-handlers.js";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server of these calls, and what it was told of defects. */
async function serve(calls: UnaryCalls<typeof StorageService>) {
  const defects: [error: unknown, method: string, requestId: string][] = [];
  const handlers = leanUnaryHandlers(StorageService, calls, (...defect) => defects.push(defect));
  const server = createServer();
  server.on("stream", (stream, headers) => {
    const handler = handlers.find(({ takes }) => takes(headers));
    if (handler === undefined) stream.respond({ ":status": 404 }, { endStream: true });
    else handler.serve(stream, headers, anybody);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => new Promise((closed) => server.close(closed)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connection = createCallConnection({ url });
  cleanups.push(connection.close);
  return { url, defects, client: connection.client(StorageService) };
}

/** Sends these frames as a call's body; how it ends, and the id that its answer bore. */
async function sendFrames(url: string, frames: number, requestId: string) {
  const session = createLeanSession({ url });
  cleanups.push(session.close);
  const ended = Promise.withResolvers<GmqError | undefined>();
  const method = StorageService.method.getGroup;
  const headers = { "x-request-id": requestId };
  const { stream } = openLeanRequest(session.open(), pathOfMethod(method), headers, ended.resolve);
  const answer = once(stream, "response");
  const body = Buffer.concat(
    frameCodec(method.output, method.input, protobufDecoderOf).encode(create(GetGroupRequestSchema, { group: "g" })),
  );
  for (let index = 0; index < frames; index++) stream.write(Buffer.concat([messagePrefix(body.length), body]));
  stream.end();
  stream.resume();
  const [answered] = await answer;
  return { error: await ended.promise, requestId: (answered as Record<string, unknown>)["x-request-id"] };
}

it("answers calls, tells errors, and keeps the text of a defect to the server", async () => {
  const { client, defects } = await serve({
    joinGroup: async ({ group }) => ({ group: { group, version: 3n } }),
    leaveGroup: () => Promise.reject(new GmqError("group_not_found", "no such group", { field: "group" })),
    getGroup: () => Promise.reject(new TypeError("secret")),
  });
  expect((await client.joinGroup({ group: "g" })).group).toMatchObject({ group: "g", version: 3n });
  await expect(client.leaveGroup({})).rejects.toMatchObject({ code: "group_not_found", field: "group" });
  await expect(client.getGroup({})).rejects.toMatchObject({
    code: "internal",
    message: expect.not.stringContaining("secret"),
  });
  expect(defects).toMatchObject([
    [{ message: "secret" }, "gmq.v1.StorageService/GetGroup", expect.stringMatching(/^[0-9a-f-]{36}$/)],
  ]);
  // Not among these calls: somebody else's.
  await expect(client.listTopics({})).rejects.toMatchObject({ field: ":status" });
});

it("takes one request a call, and answers with the caller's own id", async () => {
  let asked = 0;
  const { url } = await serve({
    async getGroup() {
      asked++;
      return {};
    },
  });
  expect(await sendFrames(url, 1, "mine-1")).toEqual({ error: undefined, requestId: "mine-1" });
  expect(asked).toBe(1);
  expect(await sendFrames(url, 0, "mine-2")).toMatchObject({ error: { code: "malformed_frame" }, requestId: "mine-2" });
  expect(asked).toBe(1);
  expect(await sendFrames(url, 2, "not one")).toMatchObject({
    error: { code: "malformed_frame" },
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
});
