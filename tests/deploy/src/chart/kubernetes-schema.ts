/** Kubernetes' and KEDA's own OpenAPI schemas, as kubernetes-models carries them: validators for values, TypeScript types for fields that do not exist. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProcess } from "@gmq/e2e/harness/child-process";
import { root } from "@gmq/e2e/harness/workspace";
import type { Manifest } from "./chart.ts";

function moduleOf({ apiVersion, kind }: Manifest): string {
  const home = apiVersion.startsWith("keda.sh/") ? "@kubernetes-models/keda" : "kubernetes-models";
  return `${home}/${apiVersion}/${kind}`;
}

/** @throws what the schema of the object's kind has against it */
export async function validate(manifest: Manifest): Promise<void> {
  const models = (await import(moduleOf(manifest))) as Record<string, new (data: Manifest) => { validate(): void }>;
  const Model = models[manifest.kind];
  if (Model === undefined) throw new Error(`no schema of ${manifest.kind}`);
  new Model(manifest).validate();
}

/** What tsc has against the objects as literals: a validator lets unknown fields pass, a type does not. Empty when all is well. */
export async function unknownFields(manifests: readonly Manifest[]): Promise<string> {
  const reports = join(root, "tests/deploy/.reports");
  await mkdir(reports, { recursive: true });
  const folder = await mkdtemp(join(reports, "objects-"));
  try {
    const lines = manifests.map((manifest, index) => {
      const type = `import("${moduleOf(manifest)}").I${manifest.kind}`;
      return `export const object${index}: ${type} = ${JSON.stringify(manifest)};`;
    });
    await writeFile(join(folder, "objects.ts"), lines.join("\n"));
    const compilerOptions = { strict: true, noEmit: true, module: "NodeNext", types: [], skipLibCheck: true };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const args = [join(root, "node_modules/typescript/bin/tsc"), "-p", folder];
    return (await runProcess({ name: "tsc", command: process.execPath, args, timeoutMs: 60_000 })).output;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
