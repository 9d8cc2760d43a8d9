/** What Helm itself makes of the chart. `make test` fetches it where it can (scripts/ensure-helm); without it the tests' own reader is all that there is. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Manifest, manifestsOf, renderChart } from "./chart/chart.ts";
import { everything, variants } from "./chart/variants.ts";

const chart = join(root, "deploy/helm/gmq");

function findHelm(): string {
  const fetched = join(root, ".tools/helm");
  const [name] = existsSync(fetched) ? readdirSync(fetched) : [];
  return process.env["GMQ_TEST_HELM"] || (name === undefined ? "" : join(fetched, name));
}

const helm = findHelm();

describe.skipIf(helm === "")("Helm (skipped without one: see scripts/ensure-helm)", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "gmq-helm-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(command: readonly string[], values: unknown): { readonly code: number | null; readonly output: string } {
    const file = join(folder, "values.json");
    writeFileSync(file, JSON.stringify(values));
    const env = { ...process.env, HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder };
    const { status, stdout, stderr } = spawnSync(helm, [...command, chart, "-f", file], { encoding: "utf8", env });
    return { code: status, output: `${stdout}${status === 0 ? "" : stderr}` };
  }

  it.each(Object.entries(variants))("finds nothing wrong with the chart with %s", (_name, values) => {
    expect(run(["lint", "--strict"], values)).toMatchObject({
      code: 0,
      output: expect.stringContaining("0 chart(s) failed"),
    });
  });

  it.each(Object.entries(variants))("renders with %s what the tests' own reader does", (_name, values) => {
    const { code, output } = run(["template", "gmq"], values);
    expect(code, output).toBe(0);
    expect(inOrder(manifestsOf(output))).toEqual(inOrder(manifestsOf(renderChart(values))));
  });

  it.each([
    ["a key that is not there", { storage: { replica: 3 } }, "replica"],
    ["a word for a number", { storage: { replicas: "three" } }, "/storage/replicas"],
    ["no storage at all", { storage: { replicas: 0 } }, "/storage/replicas"],
    ["a registry without its slash", { image: { registry: "registry.example.org" } }, "/image/registry"],
    ["a consumer without its group", { keda: { consumers: [{ deployment: "billing" }] } }, "group"],
    ["a level that no log has", { logLevel: "loud" }, "/logLevel"],
  ])("refuses %s, by its name", (_name, values, named) => {
    const { code, output } = run(["template", "gmq"], values);
    expect(code).not.toBe(0);
    expect(output).toContain(named);
  });

  it("says how to reach what was installed", () => {
    const { code, output } = run(["install", "gmq", "--dry-run=client", "--namespace", "queues"], everything);
    expect(code, output).toBe(0);
    expect(output).toContain("http://gmq-broker.queues:50051");
    expect(output).toContain("port-forward svc/gmq-admin 8080:8080");
  });
});

/** Helm puts objects in the order in which they are to be made. */
function inOrder(manifests: readonly Manifest[]): Manifest[] {
  const key = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;
  return manifests.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
}
