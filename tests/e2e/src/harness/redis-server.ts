import { connect } from "node:net";
import { startProcess, type TestProcess } from "./child-process.ts";
import { waitUntil } from "./wait-until.ts";
import { freePort, temporaryFolder } from "./workspace.ts";

/** A redis-server of one test: a free port, a temporary folder. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly process: TestProcess;
  /** kill -9: what it had not written to disk is lost. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, after `kill`. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. Idempotent. */
  stop(): Promise<void>;
}

/** `appendonly`: what a kill may lose. "no" (default) keeps nothing, "everysec" loses about a second, "always" nothing. */
export interface TestRedisOptions {
  /** Further arguments of redis-server. */
  readonly args?: readonly string[];
  readonly appendonly?: "no" | "everysec" | "always";
  readonly password?: string;
}

/** Starts a redis-server (of `GMQ_TEST_REDIS_SERVER`, else on PATH) and waits until it answers. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const port = await freePort();
  const folder = await temporaryFolder();
  const appendonly = options.appendonly ?? "no";
  const password = options.password ?? "";
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    folder.path,
    "--save",
    "",
    "--loglevel",
    "notice",
  ];
  args.push("--appendonly", appendonly === "no" ? "no" : "yes");
  if (appendonly !== "no") args.push("--appendfsync", appendonly);
  args.push(...(options.args ?? []));
  if (password !== "") args.push("--requirepass", password);

  async function start(): Promise<TestProcess> {
    const started = startProcess({
      name: "redis",
      command: process.env["GMQ_TEST_REDIS_SERVER"] ?? "redis-server",
      args,
      cwd: folder.path,
    });
    await started.waitForOutput(/Ready to accept connections/);
    await waitUntil("redis", () => answersPing(port));
    return started;
  }

  let current = await start();
  return {
    port,
    url: password === "" ? `redis://127.0.0.1:${port}` : `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    get process() {
      return current;
    },
    async kill() {
      await current.kill();
    },
    async restart() {
      current = await start();
    },
    async stop() {
      await current.kill();
      await folder.remove();
    },
  };
}

/** True once the server answers at all: a refusal for want of a password is an answer. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(1_000, () => socket.destroy(new Error("no answer")));
    socket.once("data", (data) => {
      const answer = data.toString();
      socket.destroy();
      resolve(answer.startsWith("+PONG") || answer.startsWith("-NOAUTH"));
    });
    socket.once("error", reject);
  });
}
