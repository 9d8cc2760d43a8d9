/** Pods of our manifests, and what GMQ's programs know as settings. */
import { runProcess } from "@gmq/e2e/harness/child-process";
import { entries } from "@gmq/e2e/harness/workspace";
import type { Manifest } from "./chart.ts";

interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext?: unknown;
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly enableServiceLinks?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: unknown;
}

/** What a Deployment or StatefulSet starts. */
export interface Pod {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

type App = "admin" | "broker" | "standalone" | "storage";

/** The pods of an object: one for a workload, none for others. */
export function podOf(manifest: Manifest): Pod[] {
  if (manifest.kind !== "Deployment" && manifest.kind !== "StatefulSet") return [];
  const { template } = manifest["spec"] as {
    readonly template: { readonly metadata: { readonly labels: Pod["labels"] }; readonly spec: PodSpec };
  };
  return [{ name: manifest.metadata.name, labels: template.metadata.labels, spec: template.spec }];
}

/** GMQ's containers of a pod with the variables that they are given. */
export function containersOf(spec: PodSpec): { readonly app: App; readonly variables: readonly string[] }[] {
  return spec.containers.flatMap(({ image, env = [] }) => {
    const app = /(?:^|\/)gmq\/(admin|broker|standalone|storage)(?::|$)/.exec(image)?.[1];
    return app === undefined ? [] : [{ app: app as App, variables: env.map(({ name }) => name) }];
  });
}

/** The parts that a chart with these values has to start. */
export function appsOf(values: Readonly<Record<string, unknown>>): App[] {
  const admin = values["admin"] as { readonly enabled?: boolean } | undefined;
  return admin?.enabled === false ? ["broker", "storage"] : ["admin", "broker", "storage"];
}

const asked = new Map<App, Promise<Set<string>>>();

/** The variables that a program names in its help, and those of the health check. */
export function settingsOf(app: App): Promise<Set<string>> {
  const known = asked.get(app) ?? ask(app);
  asked.set(app, known);
  return known;
}

async function ask(app: App): Promise<Set<string>> {
  const args = [entries[app], "--help"];
  const { stdout } = await runProcess({ name: `${app} --help`, command: process.execPath, args });
  const variables = stdout.match(/\bGMQ_[A-Z_]+/g) ?? [];
  if (variables.length === 0) throw new Error(`${app} --help names no variables`);
  return new Set([...variables, "GMQ_HEALTH_PORT", "GMQ_HEALTH_PATH"]);
}
