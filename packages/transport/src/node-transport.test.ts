import { GmqError } from "@gmq/protocol";
import { AdminService } from "@gmq/protocol/messages";
import { afterEach, describe, expect, it, vi } from "vitest";
import { startTestServer, type TestServer } from "../test/connect-server.js";
import { type MuteServer, startMuteServer } from "../test/mute-server.js";
import { errorInterceptor } from "./connect/error-interceptor.js";
import { createServiceClient } from "./connect/service-client.js";
import { createNodeTransport, type NodeTransport, type NodeTransportOptions } from "./node-transport.js";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function transportTo(options: NodeTransportOptions): NodeTransport {
  const node = createNodeTransport(options);
  cleanups.push(node.close);
  return node;
}

async function startMute(): Promise<MuteServer> {
  const server = await startMuteServer();
  cleanups.push(server.close);
  return server;
}

describe("createNodeTransport", () => {
  it("calls with GmqErrors, headers and a token that may change", async () => {
    const seen: (string | null)[] = [];
    const defect = vi.fn();
    const server: TestServer = await startTestServer((router) =>
      router.service(
        AdminService,
        {
          createTopic(_request, context) {
            seen.push(context.requestHeader.get("authorization"), context.requestHeader.get("x-who"));
            throw new GmqError("topic_exists", "there is one", { field: "topic" });
          },
          deleteTopic() {
            throw new TypeError("a secret in a stack");
          },
        },
        { interceptors: [errorInterceptor(defect)] },
      ),
    );
    cleanups.push(server.close);
    let token = "one";
    const node = transportTo({ url: server.url, token: () => token, headers: { "x-who": "me" } });
    const admin = createServiceClient(AdminService, node.transport);
    await expect(admin.createTopic({})).rejects.toMatchObject({
      name: "GmqError",
      code: "topic_exists",
      field: "topic",
    });
    token = "two";
    await expect(admin.createTopic({})).rejects.toThrow("there is one");
    expect(seen).toEqual(["Bearer one", "me", "Bearer two", "me"]);
    await expect(admin.deleteTopic({})).rejects.toMatchObject({ code: "internal" });
    await expect(admin.deleteTopic({})).rejects.not.toThrow("secret");
    expect(defect).toHaveBeenCalledWith(expect.any(TypeError), "gmq.v1.AdminService/DeleteTopic", expect.any(Headers));
    await expect(admin.listGroups({})).rejects.toMatchObject({ code: "unimplemented" });
  });

  it("is unavailable where nobody listens", async () => {
    const { url, stopListening } = await startMute();
    await stopListening();
    const admin = createServiceClient(AdminService, transportTo({ url }).transport);
    await expect(admin.listTopics({})).rejects.toMatchObject({ code: "unavailable", retryable: true });
  });

  it("gives up on a connection that does not come about", async () => {
    const { url } = await startMute();
    const node = transportTo({ url: url.replace("http:", "https:"), connectTimeoutMs: 100 });
    const admin = createServiceClient(AdminService, node.transport);
    await expect(admin.listTopics({})).rejects.toMatchObject({ code: "unavailable", limit: "100 ms" });
  });

  it("has a deadline on calls, and the caller's cancel", async () => {
    const { url } = await startMute();
    const admin = createServiceClient(AdminService, transportTo({ url, callTimeoutMs: 100 }).transport);
    await expect(admin.listTopics({})).rejects.toMatchObject({ code: "deadline_exceeded" });
    const signal = AbortSignal.timeout(50);
    await expect(admin.listTopics({}, { signal, timeoutMs: 5_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/cancelled|deadline_exceeded/),
    });
  });

  it("notices a connection that went silent", async () => {
    const { url } = await startMute();
    const node = transportTo({ url, pingIntervalMs: 50, pingTimeoutMs: 50 });
    const admin = createServiceClient(AdminService, node.transport);
    await expect(admin.listTopics({}, { timeoutMs: 0 })).rejects.toMatchObject({ code: "unavailable" });
  });

  it("connects again after a break", async () => {
    const server = await startTestServer((router) => router.service(AdminService, { listTopics: () => ({}) }));
    cleanups.push(server.close);
    const admin = createServiceClient(AdminService, transportTo({ url: server.url }).transport);
    await admin.listTopics({});
    server.destroySessions();
    await vi.waitFor(() => admin.listTopics({}), { timeout: 15_000 });
  });

  it("refuses calls after close, and addresses that are none", async () => {
    const { url } = await startMute();
    const node = transportTo({ url });
    node.close();
    node.close();
    const admin = createServiceClient(AdminService, node.transport);
    await expect(admin.listTopics({})).rejects.toMatchObject({ code: "closed" });
    for (const bad of ["localhost:50051", "redis://h", "http://h/path", ""]) {
      expect(() => createNodeTransport({ url: bad })).toThrow(GmqError);
    }
  });
});
