/** A RabbitMQ of the bench's own: its data, its cookie, its ports and its port mapper (epmd), all gone with it. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { freePort, type ServerProcess, startServer } from "./child-process.ts";

/** Debian's `rabbitmq-server` on PATH becomes another user first, who may not write here; this is the server's own script. */
const debianScript = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/** The script to start; undefined where there is none. Asking a script of RabbitMQ for its version would start the Erlang machine, or ask for root. */
function findScript(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [debianScript, ...folders.map((folder) => join(folder, "rabbitmq-server"))].find((path) => existsSync(path));
}

export function rabbitmqIsInstalled(): boolean {
  return findScript() !== undefined;
}

/** Starts it in an empty folder. `ready` says whether it listens. */
export async function startRabbitmq(
  folder: string,
  port: number,
  ready: () => Promise<boolean>,
): Promise<ServerProcess> {
  const config = join(folder, "rabbitmq.conf");
  await writeFile(config, `listeners.tcp.1 = 127.0.0.1:${port}\n`);
  const plugins = join(folder, "enabled_plugins");
  await writeFile(plugins, "[].\n");
  const epmdPort = await freePort();
  const env = {
    ...process.env,
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `gmq-bench-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(await freePort()),
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    // The script then becomes the server in place of watching over it, so that its process is the one that is measured.
    RABBITMQ_ALLOW_INPUT: "1",
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-noinput",
  };
  const endEpmd = async (): Promise<void> => {
    await promisify(execFile)("epmd", ["-port", String(epmdPort), "-kill"]);
  };
  const server = await startServer({
    name: "rabbitmq",
    command: findScript() ?? "rabbitmq-server",
    args: [],
    cwd: folder,
    env,
    readyMsMax: 60_000,
    ready,
  }).catch(async (error: unknown) => {
    await endEpmd().catch(() => undefined); // it may not have come so far
    throw error;
  });
  return {
    ...server,
    async stop() {
      await server.stop();
      await endEpmd();
    },
  };
}
