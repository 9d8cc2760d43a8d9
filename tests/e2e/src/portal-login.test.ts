/** The portal's login, over HTTP as a browser or a program speaks it. Its pages are tested in tests/portal. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AdminService, PortalService } from "@gmq/protocol/messages";
import { createToken, hashPassword, hashToken } from "@gmq/protocol/secrets";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startServices, type Topology } from "./harness/topologies.ts";
import { waitUntil } from "./harness/wait-until.ts";
import { temporaryFolder } from "./harness/workspace.ts";

const password = "correct horse battery";
const token = createToken();
const names = ["viewer", "operator", "admin"] as const;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gmq: Topology;
let users: { name: string; password: string; role: string }[];

async function writeUsers(list: typeof users): Promise<string> {
  const path = join(folder.path, "portal.yaml");
  await writeFile(
    path,
    JSON.stringify({ users: list, tokens: [{ name: "ci", hash: hashToken(token), role: "viewer" }] }),
  );
  return path;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const hash = await hashPassword(password);
  users = names.map((role) => ({ name: role, password: hash, role }));
  const adminArgs = [
    "--portal-access-file",
    await writeUsers(users),
    "--session-idle-ms",
    "3000",
    "--reload-ms",
    "100",
    "--login-failures-per-minute-max",
    "5",
  ];
  gmq = await startServices({ adminArgs });
});
afterEach(async () => {
  // Failures count against the address, which all tests share: who gets in is forgiven.
  await logIn("admin");
});
afterAll(async () => {
  await gmq?.stop();
  await folder.remove();
});

const page = { "content-type": "application/json", "x-gmq-portal": "1" };

function ask(
  path: string,
  options: { readonly body?: unknown; readonly headers?: Record<string, string>; readonly method?: string } = {},
) {
  const { body = {}, headers = page, method = "POST" } = options;
  return fetch(gmq.adminUrl + path, { method, headers, ...(method === "GET" ? {} : { body: JSON.stringify(body) }) });
}

async function logIn(name: string, given = password, headers: Record<string, string> = page): Promise<Response> {
  return ask("/access/login", { body: { name, password: given }, headers });
}

async function cookieOf(name: string): Promise<string> {
  const answer = await logIn(name);
  expect(answer.status).toBe(200);
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] as string;
}

function call(
  method: string,
  cookie: string,
  body: unknown = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return ask(`/gmq.v1.${method}`, {
    body,
    headers: { "content-type": "application/json", "connect-protocol-version": "1", cookie, ...headers },
  });
}

async function codeOf(answer: Response): Promise<string> {
  return answer.ok ? "ok" : ((await answer.json()) as { code: string }).code;
}

describe("without a login", () => {
  it("every call is refused, and pages and health are there", async () => {
    for (const service of [PortalService, AdminService]) {
      for (const { name, methodKind } of service.methods) {
        if (methodKind !== "unary") continue;
        const answer = await call(`${service.name}/${name}`, "");
        expect([name, answer.status]).toEqual([name, 401]);
      }
    }
    const watch = await ask("/gmq.v1.PortalService/Watch", {
      headers: { "content-type": "application/connect+json", "connect-protocol-version": "1" },
    });
    expect(await watch.text()).toContain("unauthenticated");
    expect((await ask("/access/me", { method: "GET" })).status).toBe(401);
    for (const path of ["/", "/topics", "/healthz"]) expect((await ask(path, { method: "GET" })).status).toBe(200);
  });
});

describe("a login", () => {
  it("sets a cookie that scripts and other sites cannot have, under a new id each time, and logout ends it", async () => {
    const answer = await logIn("ada", "no");
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toMatch(/user|exist/);
    const first = await logIn("operator");
    expect(await first.json()).toEqual({ on: true, ways: { password: true }, name: "operator", role: "operator" });
    expect(first.headers.get("set-cookie")).toMatch(/^gmq-portal=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    const cookie = (first.headers.get("set-cookie") as string).split(";")[0] as string;
    const second = await logIn("operator", password, { ...page, cookie });
    const next = (second.headers.get("set-cookie") as string).split(";")[0] as string;
    expect(next).not.toBe(cookie);
    expect((await call("AdminService/ListTopics", cookie)).status).toBe(401);
    expect((await call("AdminService/ListTopics", next)).status).toBe(200);
    const left = await ask("/access/logout", { headers: { ...page, cookie: next } });
    expect(left.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await call("AdminService/ListTopics", next)).status).toBe(401);
  });

  it("is slowed down for who guesses, before anything is tried", async () => {
    for (let turn = 0; turn < 5; turn++) expect((await logIn("admin", "wrong password")).status).toBe(401);
    const answer = await logIn("admin");
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ code: "resource_exhausted", limit: "5 failures a minute" });
    await gmq.part("admin").stop();
    await gmq.part("admin").restart();
  });

  it("refuses what is no login: other methods, no JSON, too much of it", async () => {
    expect((await ask("/access/login", { method: "GET" })).status).toBe(400);
    expect((await ask("/access/login", { headers: { ...page, "content-type": "text/plain" } })).status).toBe(400);
    expect((await ask("/access/login", { body: "x".repeat(20_000) })).status).toBe(400);
    expect((await ask("/access/login", { body: { name: 1 } })).status).toBe(400);
  });
});

describe("another site", () => {
  it("can neither log in nor call with the cookie of who is logged in", async () => {
    const cookie = await cookieOf("admin");
    const body = { topic: "forged" };
    expect((await logIn("admin", password, { "content-type": "application/json" })).status).toBe(403);
    expect((await logIn("admin", password, { ...page, origin: "https://evil.example" })).status).toBe(403);
    expect((await ask("/access/logout", { headers: { ...page, cookie, origin: "https://evil.example" } })).status).toBe(
      403,
    );
    const plain = { "content-type": "application/json", cookie };
    expect((await ask("/gmq.v1.AdminService/CreateTopic", { body, headers: plain })).status).toBe(403);
    expect((await call("AdminService/CreateTopic", cookie, body, { origin: "https://evil.example" })).status).toBe(403);
    expect(
      (await ask("/gmq.v1.AdminService/CreateTopic", { body, headers: { ...plain, "content-type": "text/plain" } }))
        .status,
    ).toBeGreaterThanOrEqual(400);
    const { topics } = (await (await call("AdminService/ListTopics", cookie)).json()) as { topics: unknown[] };
    expect(topics).toEqual([]);
  });
});

describe("roles", () => {
  const operatorActs = new Set([
    "PauseGroup",
    "ResumeGroup",
    "ResetGroup",
    "Produce",
    "SettlePending",
    "SilenceAlert",
    "EndSilence",
    "TestAlertWebhook",
  ]);
  const isRead = (name: string): boolean =>
    /^(List|Describe|Browse|Get|Explain|Search|Inspect|Read|Check|Sample)/.test(name);
  /** Calls that are refused for what they lack before anybody's role is asked. */
  const bodies: Readonly<Record<string, object>> = {
    SettlePending: { settle: { topic: "none", group: "none", offsets: ["0"], action: "PENDING_ACTION_ACK" } },
  };
  /** What they ask for depends on the job. */
  const jobActs = new Set(["StartJob", "CancelJob", "ResumeJob"]);

  it.each(names)("decide in the API what a %s may do", async (role) => {
    const cookie = await cookieOf(role);
    for (const service of [PortalService, AdminService]) {
      for (const { name, methodKind } of service.methods) {
        if (methodKind !== "unary" || jobActs.has(name)) continue;
        const code = await codeOf(await call(`${service.name}/${name}`, cookie, bodies[name] ?? {}));
        const may = isRead(name) || role === "admin" || (role === "operator" && operatorActs.has(name));
        expect([name, code === "permission_denied"]).toEqual([name, !may]);
      }
    }
  });

  it.each(names)("decide which jobs a %s may start, by what they do", async (role) => {
    const cookie = await cookieOf(role);
    const jobs = {
      purge: { purge: { topic: "none", toOffset: "1" } },
      reset: { reset: { group: "none", topic: "none", to: { earliest: true } } },
      redrive: { redrive: { topic: "none", group: "none" } },
      produceLines: { produceLines: { topic: "none", lines: "eyJ2YWx1ZSI6IngifQ==" } },
    };
    for (const [kind, work] of Object.entries(jobs)) {
      const code = await codeOf(await call("PortalService/StartJob", cookie, work));
      const may = role === "admin" || (role === "operator" && kind !== "purge");
      expect([kind, code === "permission_denied"]).toEqual([kind, !may]);
    }
  });

  it("let a viewer look at what an act would do", async () => {
    const cookie = await cookieOf("viewer");
    expect(await codeOf(await call("AdminService/PurgeTopic", cookie, { topic: "none", dryRun: true }))).not.toBe(
      "permission_denied",
    );
  });

  it("are in the audit by name", async () => {
    const cookie = await cookieOf("admin");
    await call("AdminService/CreateTopic", cookie, { topic: "by-name" });
    const { entries } = (await (await call("PortalService/ListAudit", cookie, { text: "by-name" })).json()) as {
      entries: { actor: string; action: string }[];
    };
    expect(entries[0]).toMatchObject({ actor: "admin", action: "CreateTopic" });
    await call("AdminService/DeleteTopic", cookie, { topic: "by-name" });
  });
});

describe("the end of a login", () => {
  it("comes with silence, and with the user's own end", async () => {
    const idle = await cookieOf("viewer");
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect((await call("AdminService/ListTopics", idle)).status).toBe(401);
    const cookie = await cookieOf("operator");
    const watch = await fetch(`${gmq.adminUrl}/gmq.v1.PortalService/Watch`, {
      method: "POST",
      headers: { "content-type": "application/connect+json", "connect-protocol-version": "1", cookie },
      body: Buffer.from([0, 0, 0, 0, 2, 123, 125]),
    });
    await writeUsers(users.filter(({ name }) => name !== "operator"));
    // The stream that was open ends by itself.
    expect(await watch.text()).toContain("unauthenticated");
    expect((await call("AdminService/ListTopics", cookie)).status).toBe(401);
    await writeUsers(users);
    await waitUntil("the user is back", async () => (await logIn("operator")).status === 200);
  });
});

describe("a program", () => {
  it("calls with its token, in its role", async () => {
    const authorization = `Bearer ${token}`;
    expect((await call("AdminService/ListTopics", "", {}, { authorization })).status).toBe(200);
    expect((await call("AdminService/CreateTopic", "", { topic: "x" }, { authorization })).status).toBe(403);
    expect((await call("AdminService/ListTopics", "", {}, { authorization: "Bearer wrong" })).status).toBe(401);
  });
});
