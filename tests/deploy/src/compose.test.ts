/**
 * docker/compose.yaml, compose.tls.yaml and Dockerfile, as far as they can be judged without Docker; docker/check-images runs the image's steps, and e2e the services
 * of compose.tls.yaml.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type entries, root } from "@gmq/e2e/harness/workspace";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { settingsOf } from "./chart/pods.ts";

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly networks?: { readonly default: { readonly aliases: readonly string[] } };
  readonly build?: {
    readonly dockerfile: string;
    readonly args: { readonly APP: keyof typeof entries; readonly PORT: string };
  };
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
}

function composed(name: string) {
  const file = parse(readFileSync(join(root, "docker", name), "utf8"), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, unknown>>;
  };
  const services = Object.entries(file.services);
  return { file, services, ours: services.filter(([, { image }]) => image.startsWith("gmq/")) };
}

const { file, services, ours } = composed("compose.yaml");
const secured = composed("compose.tls.yaml");
const drainMsDefault = 30_000;

it("runs GMQ's services on a read-only root, without capabilities, watched, and with time to drain", () => {
  expect(ours.map(([name]) => name)).toEqual(["storage", "broker-1", "broker-2", "admin"]);
  expect(secured.ours.map(([name]) => name)).toEqual(["storage", "broker-1", "broker-2", "admin"]);
  for (const [name, service] of [...ours, ...secured.ours]) {
    expect({ name, ...service }).toMatchObject({
      read_only: true,
      tmpfs: ["/tmp"],
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
      healthcheck: { test: ["CMD", "node", "/healthcheck.mjs"] },
    });
    expect(Number.parseInt(service.stop_grace_period ?? "", 10) * 1_000).toBeGreaterThan(drainMsDefault);
  }
  for (const [, { ports = [] }] of ours) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});

it("gives each service settings that its program has, and the port that its image is built for", async () => {
  for (const [name, { image, build, environment = {} }] of [...ours, ...secured.ours]) {
    expect(image).toBe(`gmq/${build?.args.APP}`);
    const known = await settingsOf(build?.args.APP as "storage");
    expect({ name, unknown: Object.keys(environment).filter((key) => !known.has(key)) }).toEqual({ name, unknown: [] });
    expect(environment["GMQ_ADDR"]).toBe(`0.0.0.0:${build?.args.PORT}`);
  }
}, 60_000);

it("has one store in each profile, at the address that the storage service is given", () => {
  const stores = services.filter(([, { profiles }]) => profiles !== undefined);
  expect(stores.map(([name, { profiles }]) => [name, profiles])).toEqual([
    ["redis", ["redis"]],
    ["dragonfly", ["dragonfly"]],
  ]);
  for (const [name, store] of stores) {
    expect(store).toMatchObject({ read_only: true, networks: { default: { aliases: ["store"] } } });
    expect(file.services["storage"]?.depends_on?.[name]).toEqual({ condition: "service_healthy", required: false });
  }
  expect(file.services["storage"]?.environment?.["GMQ_REDIS_URL"]).toBe("redis://store:6379");
  expect(readFileSync(join(root, "docker/.env"), "utf8")).toBe("COMPOSE_PROFILES=redis\n");
});

it("names services and volumes that there are", () => {
  for (const [name, { depends_on = {}, volumes = [] }] of services) {
    expect({ name, missing: Object.keys(depends_on).filter((other) => !(other in file.services)) }).toEqual({
      name,
      missing: [],
    });
    const named = volumes.map((volume) => volume.split(":")[0] ?? "");
    expect({ name, missing: named.filter((volume) => !(volume in file.volumes)) }).toEqual({ name, missing: [] });
  }
});

it("the image has stages, a pinned base, a user without rights and a health check", () => {
  const dockerfile = readFileSync(join(root, "docker/Dockerfile"), "utf8");
  const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  expect(dockerfile.match(/^FROM /gm)?.length).toBeGreaterThan(2);
  expect(dockerfile).toMatch(/^ARG NODE_IMAGE=node:\d+\.\d+\.\d+-\S+-slim$/m);
  expect(last).toMatch(/^USER node$/m);
  // The root may be read-only, and an app keeps what it was given no folder for below the one in which it starts.
  expect(last).toMatch(/^WORKDIR \/data$/m);
  expect(last).toMatch(
    /^ENTRYPOINT \["node", "--v8-pool-size=1", "--max-semi-space-size=16", "\/app\/dist\/main\.js"\]$/m,
  );
  expect(last).toMatch(/^HEALTHCHECK .*CMD \["node", "\/healthcheck\.mjs"\]$/m);
  expect(last).toMatch(/^COPY --from=built /m);
  expect(last).not.toMatch(/npm|pnpm|turbo/);
  expect(dockerfile).toMatch(/^ARG APP=standalone$/m);
});
