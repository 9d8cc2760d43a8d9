import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Locator } from "playwright-core";

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

const source = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe finds wrong with a page once this part of it is there, one line each. It runs by the debugger's hand, so the page's policy stays as it is. */
export async function accessibilityProblems(shown: Locator): Promise<string[]> {
  await shown.waitFor();
  const page = shown.page();
  await page.evaluate(await source);
  const { violations } = await page.evaluate<AxeResult, readonly string[]>(
    (wanted) =>
      (globalThis as unknown as { axe: { run(node: unknown, options: unknown): Promise<AxeResult> } }).axe.run(
        document,
        {
          runOnly: { type: "tag", values: wanted },
          resultTypes: ["violations"],
        },
      ),
    tags,
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary ?? ""}`),
  );
}
