/**
 * `make pack-check`: packages as users get them. Packed, checked, installed into an empty project by npm, imported, required, compiled and run under every Node that
 * is supported. Needs a package registry for what the packages depend on.
 */
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { compileDecorators, hasDecorators } from "@gmq/e2e/harness/decorators";
import { codeBlocks } from "@gmq/e2e/harness/markdown";
import { startStandalone, type Topology } from "@gmq/e2e/harness/topologies";
import { root } from "@gmq/e2e/harness/workspace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeFolder, nodeVersions } from "./nodes.js";
import { type PackedPackage, packAll } from "./packages.js";
import { eachOf, mustRun, type Ran, run } from "./run.js";

/** Entry points that need an optional peer which only tests have. */
const needsTestRunner = new Set(["@gmq/storage/conformance"]);

/** Node 22 says so of node:sqlite, which the embedded engine is on. */
const knownWarning = /^.*(?:ExperimentalWarning: SQLite|--trace-warnings).*\n/gm;

let folder: string;
let packed: PackedPackage[];
const bin = join(root, "node_modules/.bin");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-pack-"));
  packed = await packAll(join(folder, "tarballs"));
}, 300_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("tarballs", () => {
  it("hold what is built, the README and the licence, and nothing else", async () => {
    expect(packed.length).toBeGreaterThan(9);
    for (const { name, tarball } of packed) {
      const { stdout } = await mustRun("tar", ["-tzf", tarball], { cwd: folder });
      const files = stdout.trim().split("\n");
      const odd = files.filter((file) => !/^package\/(package\.json|README\.md|LICENSE|dist\/.+)$/.test(file));
      expect(odd, name).toEqual([]);
      for (const file of ["package.json", "README.md", "LICENSE"]) expect(files, name).toContain(`package/${file}`);
      expect(
        files.filter((file) => file.includes(".test.")),
        name,
      ).toEqual([]);
    }
  });

  it("name each other by version, never by the workspace", async () => {
    for (const { name, tarball, version } of packed) {
      const { stdout } = await mustRun("tar", ["-xzOf", tarball, "package/package.json"], { cwd: folder });
      expect(stdout, name).not.toContain("workspace:");
      const manifest = JSON.parse(stdout) as {
        dependencies?: Record<string, string>;
        repository?: { directory: string };
      };
      for (const [dependency, range] of Object.entries(manifest.dependencies ?? {})) {
        // Exact: what was tested together is installed together.
        expect(range, `${name} → ${dependency}`).toMatch(/^\d+\.\d+\.\d+$/);
        if (dependency.startsWith("@gmq/")) expect(range, `${name} → ${dependency}`).toBe(version);
      }
      expect(manifest.repository?.directory, name).toBe(`packages/${name.slice("@gmq/".length)}`);
    }
  });

  it("pass publint and attw", async () => {
    await eachOf(packed, async ({ name, tarball }) => {
      const lint = await run(join(bin, "publint"), ["--strict", tarball], { cwd: folder });
      expect(lint.code, `${name}: ${lint.output}`).toBe(0);
      const types = await run(join(bin, "attw"), [tarball, "--profile", "esm-only"], { cwd: folder });
      expect(types.code, `${name}: ${types.output}`).toBe(0);
    });
  });
});

describe.each(nodeVersions)("Node %s", (version) => {
  let project: string;
  let env: Record<string, string>;
  let topology: Topology;

  function node(args: readonly string[]): Promise<Ran> {
    return run("node", args, { cwd: project, env, timeoutMs: 60_000 });
  }

  beforeAll(async () => {
    // One of its own: the examples make their topics.
    topology = await startStandalone({ args: ["--memory"] });
    env = { PATH: `${await nodeFolder(version)}${delimiter}${process.env["PATH"] ?? ""}` };
    project = join(folder, `project-${version}`);
    await mkdir(project);
    const dependencies = {
      ...Object.fromEntries(packed.map(({ name, tarball }) => [name, `file:${tarball}`])),
      "@nestjs/common": "12.5.1",
      "@nestjs/core": "12.5.1",
      "@nestjs/microservices": "12.1.1",
      "@opentelemetry/api": "1.10.0",
      "@types/node": "22.20.5",
      "reflect-metadata": "0.2.2",
      rxjs: "7.8.2",
      zod: "4.6.7",
    };
    await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
    // Strictly: an engine that does not fit fails.
    const args = ["install", "--engine-strict", "--no-audit", "--no-fund", "--loglevel=error"];
    await mustRun("npm", args, { cwd: project, env });
  }, 300_000);

  afterAll(() => topology.stop());

  const entries = (): string[] => packed.flatMap((one) => one.entries).filter((entry) => !needsTestRunner.has(entry));

  it("imports and requires every entry point, quietly", async () => {
    const { stdout } = await node(["--version"]);
    expect(stdout.trim()).toBe(`v${version}`);
    await eachOf(entries(), async (entry) => {
      const imported = await node([
        "--input-type=module",
        "-e",
        `import * as all from ${JSON.stringify(entry)}; console.log(Object.keys(all).length)`,
      ]);
      expect(imported.code, `import ${entry}: ${imported.output}`).toBe(0);
      expect(imported.output.replaceAll(knownWarning, ""), `import ${entry}`).toMatch(/^\d+\n$/);
      const required = await node([
        "--input-type=commonjs",
        "-e",
        `console.log(Object.keys(require(${JSON.stringify(entry)})).length)`,
      ]);
      expect(required.code, `require ${entry}: ${required.output}`).toBe(0);
      expect(required.stdout.trim(), `require ${entry}`).toMatch(/^\d+$/);
    });
  });

  it("runs the examples of the packed READMEs", async () => {
    let count = 0;
    for (const { name } of packed) {
      const readme = readFileSync(join(project, "node_modules", name, "README.md"), "utf8");
      const programs = codeBlocks(readme).filter(
        ({ language, tag }) => (language === "ts" && tag === "run") || language === "js",
      );
      // The command line's examples are commands.
      if (name !== "@gmq/cli") expect(programs.length, `${name} has a runnable example`).toBeGreaterThan(0);
      for (const { language, text } of programs) {
        const program = text.replaceAll("http://localhost:50051", topology.brokers[0] ?? "");
        const isCompiled = hasDecorators(program);
        const file = join(project, `example-${++count}.${isCompiled ? "js" : language}`);
        await writeFile(file, isCompiled ? await compileDecorators(program) : program);
        const ran = await node([file]);
        expect(ran.code, `${name}:\n${text}\n${ran.output}`).toBe(0);
      }
    }
  });

  it("runs the command line", async () => {
    const gmq = (args: readonly string[]): Promise<Ran> =>
      run(join(project, "node_modules/.bin/gmq"), [...args, "--broker", topology.brokers[0] ?? ""], {
        cwd: project,
        env,
      });
    expect(await gmq(["publish", `packed-${version}`, "hello", "--key", "k"])).toMatchObject({ code: 0 });
    const consumed = await gmq(["consume", `packed-${version}`, "--group", "g", "--no-follow"]);
    expect(consumed.stdout).toContain("hello");
  });
});

describe("types", () => {
  let project: string;

  beforeAll(() => {
    project = join(folder, `project-${nodeVersions[0]}`);
  });

  it.each([
    ["nodenext, ES modules", "esm.mts", { module: "nodenext", moduleResolution: "nodenext" }],
    ["nodenext, CommonJS", "cjs.cts", { module: "nodenext", moduleResolution: "nodenext" }],
    ["node16", "esm16.mts", { module: "node16", moduleResolution: "node16" }],
    ["a bundler", "bundled.ts", { module: "esnext", moduleResolution: "bundler" }],
    ["preserve", "preserved.ts", { module: "preserve", moduleResolution: "bundler" }],
  ])("hold under strict with %s", async (_name, file, settings) => {
    const isCommonJs = file.endsWith(".cts");
    const imports = packed
      .flatMap(({ entries }) => entries)
      .filter((entry) => !needsTestRunner.has(entry))
      .map(
        (entry, index) =>
          (isCommonJs ? `import all${index} = require("${entry}");` : `import * as all${index} from "${entry}";`) +
          ` void all${index};`,
      );
    const client = isCommonJs ? 'import client = require("@gmq/client");' : 'import * as client from "@gmq/client";';
    const program = `${imports.join("\n")}
${client}
import { z } from "zod";
const orders = client.topic("orders", { value: z.object({ cents: z.number() }) });
export async function use(): Promise<bigint> {
  const gmq = await client.connect();
  gmq.subscribe(orders, { group: "g" }, ({ value, offset }) => {
    const cents: number = value.cents;
    const at: bigint = offset;
    void [cents, at];
  });
  // @ts-expect-error cents is a number
  await gmq.producer().send(orders, { value: { cents: "9" } });
  return (await gmq.producer().send(orders, { value: { cents: 9 } })).offset;
}
`;
    await writeFile(join(project, file), program);
    const compilerOptions = {
      ...settings,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      target: "es2024",
      lib: ["es2024", "esnext.disposable", "dom", "dom.iterable"],
      types: ["node"],
      noEmit: true,
      // Declarations of packages are checked too.
      skipLibCheck: false,
    };
    const config = join(project, `tsconfig.${file}.json`);
    await writeFile(config, JSON.stringify({ compilerOptions, files: [file] }));
    const { output } = await run(join(bin, "tsc"), ["-p", config], { cwd: project });
    expect(output).toBe("");
  });
});
