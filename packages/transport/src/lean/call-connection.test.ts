import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import { AdminService, AdminServiceListTopicsRequestSchema } from "@gmq/protocol/messages";
import { afterEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../../test/connect-server.js";
import { type MuteServer, startMuteServer } from "../../test/mute-server.js";
import { errorInterceptor } from "../connect/error-interceptor.js";
import type { NodeTransportOptions } from "../node-transport.js";
import { type CallClient, type CallConnection, createCallConnection } from "./call-connection.js";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function connectionTo(target: NodeTransportOptions): { calls: CallConnection; admin: CallClient<typeof AdminService> } {
  const calls = createCallConnection(target);
  cleanups.push(calls.close);
  return { calls, admin: calls.client(AdminService) };
}

/** A server of this much of the service, by Connect: calls are gRPC's own, not ours. */
async function serve(implementation: Partial<ServiceImpl<typeof AdminService>>): Promise<TestServer> {
  const server = await startTestServer((router) =>
    router.service(AdminService, implementation, { interceptors: [errorInterceptor(() => undefined)] }),
  );
  cleanups.push(server.close);
  return server;
}

async function startMute(): Promise<MuteServer> {
  const server = await startMuteServer();
  cleanups.push(server.close);
  return server;
}

describe("createCallConnection", () => {
  it("calls with answers, GmqErrors, headers and a token that may change", async () => {
    const seen: (string | null)[] = [];
    const { url } = await serve({
      describeTopic: ({ topic }) => ({ topic: { name: topic, version: 3n } }),
      createTopic(_request, { requestHeader }) {
        seen.push(requestHeader.get("authorization"), requestHeader.get("x-who"));
        throw new GmqError("topic_exists", "there is one — ä", { field: "topic", limit: "1" });
      },
    });
    let token = "one";
    const { admin } = connectionTo({ url, token: () => token, headers: { "x-who": "me" } });
    expect((await admin.describeTopic({ topic: "t" })).topic).toMatchObject({ name: "t", version: 3n });
    const refused = { name: "GmqError", code: "topic_exists", message: "there is one — ä", field: "topic", limit: "1" };
    await expect(admin.createTopic({})).rejects.toMatchObject(refused);
    token = "two";
    await expect(admin.createTopic({})).rejects.toMatchObject(refused);
    expect(seen).toEqual(["Bearer one", "me", "Bearer two", "me"]);
    await expect(admin.listGroups({})).rejects.toMatchObject({ code: "unimplemented" });
  });

  it("carries an answer over many chunks, and refuses a request and an answer that are too large", async () => {
    let bytes = 7 * 1024 * 1024;
    const { url } = await serve({
      browseRecords: () => ({ records: [{ offset: 1n, record: { value: new Uint8Array(bytes).fill(7) } }] }),
    });
    const { admin } = connectionTo({ url });
    const { records } = await admin.browseRecords({});
    expect(records[0]?.record?.value.length).toBe(bytes);
    expect(records[0]?.record?.value.every((byte) => byte === 7)).toBe(true);
    bytes = 9 * 1024 * 1024;
    await expect(admin.browseRecords({})).rejects.toMatchObject({ code: "frame_too_large", limit: "8388608 bytes" });
    const topic = "x".repeat(9 * 1024 * 1024);
    await expect(admin.browseRecords({ topic })).rejects.toMatchObject({ code: "frame_too_large", field: "request" });
  });

  it("tells a stream's answers in order, holds the server up for a slow reader, and its error after them", async () => {
    let sent = 0;
    const { url } = await serve({
      async *redrive() {
        for (; sent < 20_000; sent++) {
          yield {
            event: { case: "failure", value: { error: { message: "x".repeat(2_000) }, place: { partition: sent } } },
          };
        }
        throw new GmqError("conflict", "another redrive runs");
      },
    });
    const { admin } = connectionTo({ url });
    const partitions: number[] = [];
    const read = async (): Promise<void> => {
      for await (const { event } of admin.redrive({})) {
        if (event.case === "failure") partitions.push(event.value.place?.partition ?? -1);
        // Until the server has sent what windows and buffers take, and no more.
        if (partitions.length === 1) {
          for (let before = -1; before !== sent; ) {
            before = sent;
            await new Promise((resolve) => setTimeout(resolve, 200));
          }
          expect(sent).toBeLessThan(20_000);
        }
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "conflict", message: "another redrive runs" });
    expect(partitions).toEqual(Array.from({ length: 20_000 }, (_, index) => index));
  });

  it("cancels at the server when the loop is left, and when the caller gives up", async () => {
    const ends: unknown[] = [];
    const { url, streamsGone } = await serve({
      async *redrive(_request, { signal }) {
        yield { event: { case: "progress", value: {} } };
        await once(signal, "abort");
        ends.push(signal.reason);
      },
      async listTopics(_request, { signal }) {
        await once(signal, "abort");
        ends.push(signal.reason);
        return {};
      },
    });
    const { admin } = connectionTo({ url });
    for await (const { event } of admin.redrive({})) {
      expect(event.case).toBe("progress");
      break;
    }
    await expect.poll(() => ends.length).toBe(1);
    const abort = new AbortController();
    const listed = admin.listTopics({}, { signal: abort.signal });
    listed.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    abort.abort(new Error("enough"));
    await expect(listed).rejects.toMatchObject({ code: "cancelled", cause: abort.signal.reason });
    await expect.poll(() => ends.length).toBe(2);
    expect(ends.every((end) => end instanceof ConnectError)).toBe(true);
    await streamsGone();
    await expect(admin.listTopics({}, { signal: abort.signal })).rejects.toMatchObject({ code: "cancelled" });
  });

  it("has a deadline, which the server learns of, and takes a new connection where not a byte came in time", async () => {
    const { url, sockets } = await startMute();
    const { admin } = connectionTo({ url, callTimeoutMs: 100 });
    const late = { code: "deadline_exceeded", limit: "100 ms", message: "the call took longer than 100 ms" };
    await expect(admin.listTopics({})).rejects.toMatchObject(late);
    await expect(admin.listTopics({})).rejects.toMatchObject(late);
    expect(sockets.length).toBe(2);

    let leftMs: number | undefined;
    const slow = await serve({
      async listTopics(_request, { timeoutMs, signal }) {
        leftMs = timeoutMs();
        await once(signal, "abort");
        return {};
      },
    });
    const patient = connectionTo({ url: slow.url }).admin;
    await expect(patient.listTopics({}, { timeoutMs: 300 })).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(300);
  });

  it("is unavailable where nobody listens, answers come from a web server, or the connection does not come about", async () => {
    const { url, stopListening } = await startMute();
    const mute = connectionTo({ url: url.replace("http:", "https:"), connectTimeoutMs: 100 });
    await expect(mute.admin.listTopics({})).rejects.toMatchObject({ code: "unavailable", limit: "100 ms" });
    void stopListening();
    const gone = connectionTo({ url }).admin;
    await expect(gone.listTopics({})).rejects.toMatchObject({ code: "unavailable", retryable: true });

    const web = createHttp2Server((_request, response) => response.writeHead(404).end("no such page"));
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    cleanups.push(() => web.close());
    const page = connectionTo({ url: `http://127.0.0.1:${(web.address() as AddressInfo).port}` });
    await expect(page.admin.listTopics({})).rejects.toThrow("HTTP status 404");
    page.calls.close();
  });

  it("connects again after a break that its calls are told of", async () => {
    const server = await serve({
      listTopics: () => ({}),
      async listGroups(_request, { signal }) {
        await once(signal, "abort");
        return {};
      },
    });
    const { admin } = connectionTo({ url: server.url });
    await admin.listTopics({});
    const running = admin.listGroups({});
    running.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.destroySessions();
    await expect(running).rejects.toMatchObject({ code: "unavailable", retryable: true });
    await expect.poll(() => admin.listTopics({}).then(() => true, GmqError.from)).toBe(true);
  });

  it("tells the calls of a dropped connection, and takes a new one for the next", async () => {
    const called = Promise.withResolvers<void>();
    const server = await serve({
      listTopics: () => ({}),
      listGroups() {
        called.resolve();
        return new Promise(() => undefined);
      },
    });
    const { calls, admin } = connectionTo({ url: server.url });
    const running = admin.listGroups({});
    running.catch(() => undefined);
    await called.promise;
    calls.drop();
    await expect(running).rejects.toMatchObject({ code: "unavailable", retryable: true });
    expect(await admin.listTopics({})).toMatchObject({ topics: [] });
  });

  it("takes what is no answer for a malformed one", async () => {
    const web = createHttp2Server();
    web.on("stream", (stream, headers) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      if (headers[":path"]?.endsWith("ListTopics") === true) stream.end();
      else stream.end(Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff]));
    });
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    cleanups.push(() => web.close());
    const { calls, admin } = connectionTo({ url: `http://127.0.0.1:${(web.address() as AddressInfo).port}` });
    await expect(admin.listTopics(create(AdminServiceListTopicsRequestSchema))).rejects.toMatchObject({
      code: "malformed_frame",
      message: "the call ended without an answer",
    });
    await expect(admin.listGroups({})).rejects.toMatchObject({ code: "malformed_frame", field: "answer" });
    calls.close();
  });

  it("refuses calls after close, and addresses that are none", async () => {
    const { url } = await startMute();
    const { calls, admin } = connectionTo({ url });
    const running = admin.listTopics({});
    running.catch(() => undefined);
    calls.close();
    calls.close();
    await expect(running).rejects.toMatchObject({ code: "unavailable" });
    await expect(admin.listTopics({})).rejects.toMatchObject({ code: "closed" });
    for (const bad of ["localhost:50051", "redis://h", "http://h/path", ""]) {
      expect(() => createCallConnection({ url: bad })).toThrow(GmqError);
    }
  });
});
