/** What `make sbom` writes of each app: all that it has at run time, each with its licence, and nothing of the tools. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Bom {
  readonly specVersion: string;
  readonly metadata: { readonly component: { readonly type: string; readonly name: string } };
  readonly components: readonly {
    readonly group?: string;
    readonly name: string;
    readonly purl: string;
    readonly licenses?: readonly unknown[];
  }[];
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gmq-sbom-"));
  execFileSync(join(root, "scripts/sbom"), [folder], { stdio: ["ignore", "ignore", "inherit"] });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["storage", "broker", "admin", "standalone"])("of %s", (app) => {
  it("names each dependency with its licence, and no tool", () => {
    const bom = JSON.parse(readFileSync(join(folder, `${app}.cdx.json`), "utf8")) as Bom;
    expect(bom).toMatchObject({
      specVersion: "1.6",
      metadata: { component: { type: "application", name: `app-${app}` } },
    });
    const names = bom.components.map(({ group, name }) => (group === undefined ? name : `${group}/${name}`));
    const manifest = JSON.parse(readFileSync(join(root, `apps/${app}/package.json`), "utf8")) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    expect(names).toContain("@bufbuild/protobuf"); // of a package of a package
    for (const tool of ["vitest", "typescript", "tsup"]) expect(names).not.toContain(tool);
    for (const { name, purl, licenses = [] } of bom.components) {
      expect(purl, name).toMatch(/^pkg:npm\/.+@\d/);
      expect(licenses, name).not.toEqual([]);
    }
  });
});
