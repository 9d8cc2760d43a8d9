/** The chart and the manifests made from it: what Kubernetes' schemas and GMQ's own settings have to say. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "@gmq/e2e/harness/child-process";
import { entries, root } from "@gmq/e2e/harness/workspace";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Manifest, manifestsOf, renderChart } from "./chart/chart.ts";
import { unknownFields, validate } from "./chart/kubernetes-schema.ts";
import { appsOf, containersOf, type Pod, podOf, settingsOf } from "./chart/pods.ts";
import { renderTemplate } from "./chart/template.ts";
import { everything, least, variants } from "./chart/variants.ts";

function names(manifests: readonly Manifest[]): string[] {
  return manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted();
}

describe.each(Object.entries(variants))("the chart with %s", (_name, values) => {
  const manifests = manifestsOf(renderChart(values));

  it("fits Kubernetes' schemas, has no field that they do not know and no name twice", async () => {
    expect(manifests.length).toBeGreaterThan(3);
    for (const manifest of manifests) await validate(manifest);
    expect(await unknownFields(manifests)).toBe("");
    expect(new Set(names(manifests)).size).toBe(manifests.length);
  }, 90_000);

  it("runs every part as nobody, on a root that is read-only, probed, and with time to drain", () => {
    for (const workload of manifests.flatMap(podOf)) {
      const { name, spec } = workload;
      expect({ name, links: spec.enableServiceLinks, token: spec.automountServiceAccountToken }).toEqual({
        name,
        links: false,
        token: false,
      });
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      for (const container of spec.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container).toMatchObject({
          livenessProbe: {},
          readinessProbe: {},
          resources: { limits: { memory: expect.any(String) } },
        });
        const drainMs = container.env?.find((one) => one.name === "GMQ_DRAIN_TIMEOUT_MS")?.value;
        if (drainMs !== undefined)
          expect(Number(drainMs)).toBeLessThan((spec.terminationGracePeriodSeconds ?? 0) * 1_000);
      }
    }
  });

  it("selects with each service, budget and policy the pods that it is for", () => {
    const pods = manifests.flatMap(podOf);
    for (const { kind, metadata, spec: untyped } of manifests) {
      const spec = untyped as Selecting;
      if (!["Service", "PodDisruptionBudget", "NetworkPolicy"].includes(kind)) continue;
      const labels = kind === "Service" ? spec.selector : (spec.podSelector ?? spec.selector)?.matchLabels;
      expect(selected(pods, labels), `${kind} ${metadata.name}`).toEqual([metadata.name]);
    }
  });

  it("names settings that the programs have", async () => {
    const given = manifests.flatMap(podOf).flatMap(({ spec }) => containersOf(spec));
    for (const { app, variables } of given) {
      const known = await settingsOf(app);
      expect({ app, unknown: variables.filter((name) => !known.has(name)) }).toEqual({ app, unknown: [] });
    }
    expect(given.map(({ app }) => app)).toEqual(expect.arrayContaining(appsOf(values)));
  }, 60_000);
});

interface Selecting {
  readonly selector?: Readonly<Record<string, string>> & { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}

function selected(pods: readonly Pod[], labels: Readonly<Record<string, string>> = {}): string[] {
  expect(Object.keys(labels)).not.toEqual([]);
  const fits = (pod: Pod): boolean => Object.entries(labels).every(([key, value]) => pod.labels[key] === value);
  return pods.filter(fits).map(({ name }) => name);
}

it("a variable that GMQ does not know ends it, as those of Kubernetes' service links would", async () => {
  const env = { GMQ_BROKER_PORT: "tcp://10.0.0.1:50051" };
  const { code, output } = await runProcess({ name: "broker", command: process.execPath, args: [entries.broker], env });
  expect(code).toBe(2);
  expect(output).toContain("GMQ_BROKER_PORT");
});

it("brokers know every storage service by its own name", () => {
  const manifests = manifestsOf(renderChart(everything));
  const broker = manifests.flatMap(podOf).find(({ name }) => name === "gmq-broker");
  expect(broker?.spec.containers[0]?.env?.find(({ name }) => name === "GMQ_STORAGE")?.value).toBe(
    [0, 1, 2].map((index) => `http://gmq-storage-${index}.gmq-storage:50052`).join(","),
  );
});

it("what is asked for is there, and only then", () => {
  const kinds = (values: Readonly<Record<string, unknown>>): string[] => names(manifestsOf(renderChart(values)));
  const optional = [
    "ScaledObject billing",
    "HorizontalPodAutoscaler gmq-broker",
    "PersistentVolumeClaim gmq-admin",
    "StatefulSet gmq-redis",
  ];
  expect(kinds(everything)).toEqual(expect.arrayContaining(optional));
  expect(kinds({}).filter((name) => optional.includes(name))).toEqual([]);
  expect(kinds(least)).toEqual([
    "Deployment gmq-broker",
    "Service gmq-broker",
    "Service gmq-storage",
    "StatefulSet gmq-storage",
  ]);
});

it("deploy/kubernetes/gmq.yaml is the chart with deploy/kubernetes/values.yaml", () => {
  const path = join(root, "deploy/kubernetes/gmq.yaml");
  const values = parse(readFileSync(join(root, "deploy/kubernetes/values.yaml"), "utf8")) as Record<string, unknown>;
  const text = `# Made from deploy/helm/gmq with deploy/kubernetes/values.yaml: change those, then GMQ_TEST_UPDATE_DOCS=1 pnpm --filter @gmq/deploy-tests test\n${renderChart(values)}`;
  if (process.env["GMQ_TEST_UPDATE_DOCS"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});

describe("the checks themselves", () => {
  const [service] = manifestsOf(renderChart({})).filter(({ kind }) => kind === "Service");

  it("find a value of the wrong type and a field that does not exist", async () => {
    const wrong = { ...service, spec: { ports: [{ port: "a port" }] } } as unknown as Manifest;
    await expect(validate(wrong)).rejects.toThrow("port");
    const unknown = { ...service, spec: { ports: [{ port: 1, portt: 2 }] } } as unknown as Manifest;
    expect(await unknownFields([unknown])).toContain("portt");
  }, 60_000);

  it("render as Go's templates do, and refuse what they do not know", () => {
    const root = { Values: { list: ["a", "b"], none: "", map: { b: 1, a: "x" } }, Release: { Name: "r" } };
    const render = (source: string): string => renderTemplate(source, root);
    expect(
      render(
        'x:\n  {{- if .Values.none }}\n  no\n  {{- else if not .Values.list }}\n  no\n  {{- else }}\n  yes: {{ default "d" .Values.none | quote }}\n  {{- end }}\n',
      ),
    ).toBe('x:\n  yes: "d"\n');
    expect(render("{{ range .Values.list }}{{ . }}{{ end }}".replace("{{ . }}", "{{ $.Release.Name }}"))).toBe("rr");
    expect(render("m: {{- toYaml .Values.map | nindent 2 }}")).toBe("m:\n  a: x\n  b: 1");
    for (const source of [
      "{{ .Values.nothing }}",
      "{{ include `x` . }}",
      "{{ if .Values.list }}",
      "{{ end }}",
      "{{ .Values.map }}",
    ]) {
      expect(() => render(source), source).toThrow();
    }
  });
});
