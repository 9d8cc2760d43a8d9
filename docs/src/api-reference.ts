/** The API reference: markdown made by typedoc from the declarations that the packages publish, into docs/api, which is not committed. */
import { existsSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Application, type TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";

/** What the guides tell users to import; every entry point in their `exports` gets its pages. */
export const documented = ["client", "otel", "nestjs", "storage"];

/** Entry points that are for GMQ's own processes. */
const internal = new Set(["@gmq/storage/wire"]);

interface EntryPoint {
  /** As imported: `@gmq/storage/redis`. */
  readonly name: string;
  readonly declarations: string;
}

/** Writes docs/api and returns the number of entry points. @throws Error when a package is not built, or a comment links to what is not there */
export async function writeApiReference(docs: string): Promise<number> {
  const out = join(docs, "api");
  await rm(out, { recursive: true, force: true });
  const entryPoints = documented.flatMap((name) => entryPointsOf(join(docs, "../packages", name)));
  const folders: string[] = [];
  for (const { name, declarations } of entryPoints) {
    const folder = name.replace("@gmq/", "").replaceAll("/", "-");
    folders.push(folder);
    await writeEntryPoint(name, declarations, join(out, folder), docs);
  }
  const rows = entryPoints.map(({ name }, index) => `- [\`${name}\`](${folders[index]}/index.md)`);
  const text = `# API\n\nMade from the packages' declarations.\n\n${rows.join("\n")}\n`;
  await writeFile(join(out, "index.md"), text);
  return entryPoints.length;
}

function entryPointsOf(folder: string): EntryPoint[] {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  return Object.entries(manifest.exports).flatMap(([path, target]) => {
    const name = manifest.name + path.slice(1);
    if (typeof target === "string" || internal.has(name)) return [];
    const declarations = join(folder, target.types);
    if (!existsSync(declarations)) throw new Error(`${declarations} is not there: build the packages first`);
    return [{ name, declarations }];
  });
}

async function writeEntryPoint(name: string, declarations: string, out: string, docs: string): Promise<void> {
  const options: TypeDocOptions & PluginOptions = {
    name,
    entryPoints: [declarations],
    tsconfig: join(docs, "src/api.tsconfig.json"),
    plugin: ["typedoc-plugin-markdown"],
    readme: "none",
    entryFileName: "index",
    out,
    router: "kind",
    hidePageHeader: true,
    hideBreadcrumbs: false,
    useCodeBlocks: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "list",
    typeDeclarationFormat: "list",
    disableSources: true,
    excludeInternal: true,
    excludeExternals: true,
    sanitizeComments: true,
    skipErrorChecking: true,
    githubPages: false,
    logLevel: "Warn",
    validation: { notExported: false, invalidLink: true, rewrittenLink: true, notDocumented: false },
    treatValidationWarningsAsErrors: true,
  };
  const app = await Application.bootstrapWithPlugins(options);
  const project = await app.convert();
  if (project === undefined) throw new Error(`${name}: typedoc could not read the declarations`);
  app.validate(project);
  if (app.logger.hasErrors()) throw new Error(`${name}: see typedoc's errors above`);
  await app.generateOutputs(project);
  if (app.logger.hasErrors()) throw new Error(`${name}: see typedoc's errors above`);
}
