/** Our chart, rendered with values as `helm template` would be given them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { parse, parseAllDocuments } from "yaml";
import { renderTemplate } from "./template.ts";

const chart = join(root, "deploy/helm/gmq");

/** A Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [key: string]: unknown;
}

type Values = Readonly<Record<string, unknown>>;

/** The text of all templates. `values` lie over the chart's own, as those of `-f` do. */
export function renderChart(values: Values = {}): string {
  const chartFile = parse(readFileSync(join(chart, "Chart.yaml"), "utf8")) as Values;
  const { version, appVersion } = chartFile;
  const defaults = parse(readFileSync(join(chart, "values.yaml"), "utf8")) as Values;
  const given = {
    Values: merged(defaults, values),
    Release: { Name: "gmq", Namespace: "default", Service: "Helm" },
    Chart: { Name: "gmq", Version: version, AppVersion: appVersion },
  };
  const templates = readdirSync(join(chart, "templates")).toSorted();
  return templates
    .map((name) => {
      const text = renderTemplate(readFileSync(join(chart, "templates", name), "utf8"), given);
      return name.endsWith(".yaml") && text.trim() !== "" ? `---\n${text.trim()}\n` : "";
    })
    .join("");
}

/** The objects of a text of YAML documents. @throws when it is no YAML, a key stands twice, or a document is no object of Kubernetes */
export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value: unknown = document.toJS();
    if (value === null) return [];
    if (typeof value !== "object" || !("kind" in value && "apiVersion" in value)) throw new Error(`no object: ${text}`);
    return [value as Manifest];
  });
}

function merged(below: Values, above: Values): Values {
  const result: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = result[key];
    result[key] = isMap(old) && isMap(value) ? merged(old, value) : value;
  }
  return result;
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
