import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The checkout's root. */
export const root = resolve(import.meta.dirname, "../../../..");

/** The built main module of an app or of the command line. */
export const entries = {
  broker: join(root, "apps/broker/dist/main.js"),
  storage: join(root, "apps/storage/dist/main.js"),
  admin: join(root, "apps/admin/dist/main.js"),
  standalone: join(root, "apps/standalone/dist/main.js"),
  cli: join(root, "packages/cli/dist/main.js"),
} as const;

/** Below the ports that the system gives to connections and to whoever asks for any port (32768 and up on Linux): nobody gets it before it is used. */
const portsFrom = 15_000;
const portsTo = 32_000;

/** A port that nobody listens on. A process that is killed and started again keeps it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = portsFrom + Math.floor(Math.random() * (portsTo - portsFrom));
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolveFree) => {
    const server = createServer();
    server.once("error", () => resolveFree(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolveFree(true)));
  });
}

/** A temporary folder; `remove` deletes it with everything in it. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "gmq-e2e-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
