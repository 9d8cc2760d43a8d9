/** GMQ in one process with everything on: one certificate for three ports, and a portal that finds its own broker behind them. */
import { writeFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { connect } from "@gmq/client";
import { StorageService } from "@gmq/protocol/messages";
import { createToken, hashPassword, hashToken } from "@gmq/protocol/secrets";
import { createNodeTransport, createServiceClient } from "@gmq/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAuthority, type TestAuthority } from "../../../packages/service/test/certificates.ts";
import { startProcess, type TestProcess } from "./harness/child-process.ts";
import { entries, freePort, temporaryFolder } from "./harness/workspace.ts";

const token = createToken();
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let authority: TestAuthority;
let gmq: TestProcess;
let ports: { broker: number; storage: number; admin: number };

beforeAll(async () => {
  folder = await temporaryFolder();
  authority = await createAuthority();
  const { cert, key } = await authority.server();
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder.path, name), text);
    return join(folder.path, name);
  };
  const roles = { all: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }] };
  const access = { roles, tokens: [{ name: "shop", hash: hashToken(token), roles: ["all"] }] };
  const portal = { users: [{ name: "ada", password: await hashPassword("correct horse"), role: "admin" }] };
  ports = { broker: await freePort(), storage: await freePort(), admin: await freePort() };
  const settings = {
    "--addr": `:${ports.broker}`,
    "--storage-addr": `:${ports.storage}`,
    "--admin-addr": `:${ports.admin}`,
    "--data": join(folder.path, "data"),
    "--tls-cert": await write("cert.pem", cert),
    "--tls-key": await write("key.pem", key),
    "--access-file": await write("access.yaml", JSON.stringify(access)),
    "--portal-access-file": await write("portal.yaml", JSON.stringify(portal)),
    "--metrics-token": createToken(),
    "--refuse-unsafe": "yes",
  };
  gmq = startProcess({
    name: "standalone",
    command: process.execPath,
    args: [entries.standalone, ...Object.entries(settings).flat()],
  });
  await gmq.waitForOutput(/portal listens/, 30_000);
});
afterAll(async () => {
  await gmq?.kill();
  await folder.remove();
});

function status(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { ca: authority.ca, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once("error", reject);
  });
}

describe("standalone", () => {
  it("serves clients with a token", async () => {
    const own = await connect({
      brokers: [`https://localhost:${ports.broker}`],
      tls: { ca: authority.ca },
      auth: { token: () => token },
    });
    expect((await own.producer().send("orders", { value: "v" })).offset).toBe(0n);
    await own.close();
  });

  it("has a portal that reaches its own broker", async () => {
    await expect.poll(() => status(`https://localhost:${ports.admin}/readyz`)).toBe(200);
  });

  it("closes its storage port to everybody, as no token was named for it", async () => {
    const node = createNodeTransport({ url: `https://localhost:${ports.storage}`, tls: { ca: authority.ca }, token });
    await expect(createServiceClient(StorageService, node.transport).listTopics({})).rejects.toMatchObject({
      code: "unauthenticated",
    });
    node.close();
  });

  it("warns of nothing, and logs no secret", () => {
    expect(gmq.output()).not.toContain("UNSAFE");
    expect(gmq.output()).not.toContain(token);
  });
});
