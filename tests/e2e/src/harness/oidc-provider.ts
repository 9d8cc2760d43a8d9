import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess } from "./child-process.ts";
import { temporaryFolder } from "./workspace.ts";

/** A real OpenID Connect provider: oidc-provider from npm in a process of its own, with its pages for development, where any password logs in. */
export interface TestProvider {
  readonly issuer: string;
  /** The client's secret at the provider. */
  readonly secret: string;
  /** What a portal is told of it. */
  readonly portalArgs: readonly string[];
  /** Sends browsers back to this portal from now on. */
  serve(portalUrl: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it. `people` are by subject; others have no groups. */
export async function startProvider(
  people: Readonly<Record<string, { readonly groups: readonly string[] }>>,
): Promise<TestProvider> {
  const clientId = "gmq-portal";
  const clientSecret = "a-secret-of-the-portal-at-the-provider";
  const folder = await temporaryFolder();
  const script = fileURLToPath(new URL("./oidc-provider-child.ts", import.meta.url));
  const started = startProcess({
    name: "OIDC provider",
    command: process.execPath,
    args: [script, JSON.stringify({ clientId, clientSecret, people })],
  });
  const stop = async (): Promise<void> => {
    await started.kill();
    await folder.remove();
  };
  try {
    const secretFile = join(folder.path, "secret");
    await writeFile(secretFile, `${clientSecret}\n`);
    const [, issuer = ""] = await started.waitForOutput(/issuer (\S+)/, 60_000);
    return {
      issuer,
      secret: clientSecret,
      portalArgs: ["--oidc-issuer", issuer, "--oidc-client-id", clientId, "--oidc-client-secret-file", secretFile],
      async serve(portalUrl) {
        started.write(`${portalUrl}\n`);
        await started.waitForOutput(new RegExp(`serves ${portalUrl}`), 60_000);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
