/** What the pages say is true: snippets compile and run as they stand, commands and targets exist, links lead somewhere. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProcess, startProcess, type TestProcess } from "./harness/child-process.js";
import { compileDecorators, hasDecorators } from "./harness/decorators.js";
import { codeBlocks, makeTargets, pages, readPage, relativeLinks, shellCommands } from "./harness/markdown.js";
import { startRedis, type TestRedis } from "./harness/redis-server.js";
import { startStandalone, type Topology } from "./harness/topologies.js";
import { entries, root } from "./harness/workspace.js";

const readme = readPage("README.md");
/** TypeScript blocks that bear a tag are whole programs; `run` ones end by themselves. */
const programs = pages().flatMap((page) =>
  codeBlocks(readPage(page))
    .filter(({ language, tag }) => language === "ts" && tag !== "")
    .map(({ tag, text }, index) => ({ page, tag, text, name: `${page.replaceAll(/\W+/g, "-")}-${index}-${tag}.ts` })),
);

let folder: string;
let topology: Topology;
let brokerUrl: string;
/** For the programs that the guides come from: ioredis, BullMQ. */
let redis: TestRedis;

beforeAll(async () => {
  topology = await startStandalone();
  redis = await startRedis();
  brokerUrl = topology.brokers[0] ?? "";
  // Inside the workspace, so that imports find the built packages as a user's project would.
  const reports = join(root, "tests/e2e/.reports");
  await mkdir(reports, { recursive: true });
  folder = await mkdtemp(join(reports, "readme-"));
  for (const { name, text } of programs) {
    await writeFile(join(folder, name), here(text));
    if (hasDecorators(text)) await writeFile(join(folder, compiledName(name)), await compileDecorators(here(text)));
  }
}, 60_000);

afterAll(async () => {
  await topology.stop();
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The same text against the brokers and the Redis of this test. */
function here(text: string): string {
  return text
    .replaceAll("http://localhost:50051", brokerUrl)
    .replaceAll("redis://localhost:6379", redis.url)
    .replaceAll("port: 6379", `port: ${redis.port}`);
}

function compiledName(name: string): string {
  return name.replace(/\.ts$/, ".js");
}

function start(name: string): TestProcess {
  const isCompiled = hasDecorators(programs.find((program) => program.name === name)?.text ?? "");
  return startProcess({
    name,
    command: process.execPath,
    args: [join(folder, isCompiled ? compiledName(name) : name)],
  });
}

function shell(line: string): TestProcess {
  const env = { GMQ_BROKERS: brokerUrl };
  const child = startProcess({ name: line, command: "bash", args: ["-c", `exec ${here(line)}`], cwd: root, env });
  child.endInput("");
  return child;
}

/** The lines of a page's shell blocks that call gmq with a command. */
function commandLines(page: string): string[] {
  return shellCommands(readPage(page)).filter((line) => /^(?:\.\/)?gmq [a-z]/.test(line));
}

function programOf(page: string, tag: string): string {
  const found = programs.filter((program) => program.page === page && program.tag === tag);
  expect(found.length, `one block "ts ${tag}" in ${page}`).toBe(1);
  return found[0]?.name ?? "";
}

describe("snippets", () => {
  it("compile under tsc's strict rules against the built packages", async () => {
    expect(programs.length).toBeGreaterThanOrEqual(2);
    const compilerOptions = {
      strict: true,
      target: "ES2023",
      lib: ["ES2024", "ESNext.Disposable"],
      module: "NodeNext",
      moduleDetection: "force",
      types: ["node"],
      experimentalDecorators: true,
      // As `tsc --init` has it: Connect's own declarations want the DOM's.
      skipLibCheck: true,
      noEmit: true,
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const args = [join(root, "node_modules/typescript/bin/tsc"), "-p", folder];
    const { code, output } = await runProcess({ name: "tsc", command: process.execPath, args, timeoutMs: 60_000 });
    expect({ code, output }).toEqual({ code: 0, output: "" });
  }, 70_000);

  it("run from the top of the README to its end", async () => {
    const commands = shellCommands(readme);
    const [publish, consume] = commands.filter((line) => line.startsWith("./gmq"));
    const curl = commands.find((line) => line.startsWith("curl")) ?? "";
    expect(await shell(publish ?? "").exited).toEqual({ code: 0, signal: null });
    const consuming = shell(consume ?? "");
    await consuming.waitForOutput(/^\{"id":"o1","cents":995\}$/m, 30_000);
    expect(await consuming.stop("SIGINT")).toEqual({ code: 130, signal: null });
    const curled = shell(curl);
    expect(await curled.exited).toEqual({ code: 0, signal: null });
    expect(JSON.parse(curled.stdout())).toMatchObject({ topic: "orders", offset: "1" });

    for (const page of ["README.md", "packages/client/README.md"]) {
      const producing = start(programOf(page, "producer"));
      expect(await producing.exited, producing.output()).toEqual({ code: 0, signal: null });
      expect(producing.output()).toMatch(/^stored in partition \d at offset \d+\n$/);
      const handling = start(programOf(page, "consumer"));
      await handling.waitForOutput(/^o3: 450 cents \(partition \d, offset \d+\)$/m, 30_000);
      if (page === "README.md") expect(handling.output()).toMatch(/^o2: 1200 cents/m);
      expect(await handling.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    }

    // What is left of the README's own commands: status, topics list, groups describe.
    for (const line of commands.filter((it) => it.startsWith("./gmq")).slice(2)) {
      const command = shell(line);
      expect(await command.exited, `${line}\n${command.output()}`).toEqual({ code: 0, signal: null });
      expect(command.stdout()).not.toBe("");
    }
  }, 120_000);

  const running = programs.filter(({ tag }) => tag === "run");
  it.each(running.map(({ name }) => name))(
    "%s ends with 0",
    async (name) => {
      const program = start(name);
      expect(await program.exited, program.output()).toEqual({ code: 0, signal: null });
    },
    60_000,
  );
});

describe("pages", () => {
  it("name services and flags that there are", async () => {
    const lines = shellCommands(readme).filter((line) => /^node .*apps\//.test(line));
    expect(lines.length).toBeGreaterThanOrEqual(2);
    for (const line of lines) {
      const words = line.split(" ").slice(1);
      const at = words.findIndex((word) => word.startsWith("apps/"));
      const [entry = "", ...args] = words.slice(at);
      const command = [...words.slice(0, at), join(root, entry), "--help"];
      const help = await runProcess({ name: line, command: process.execPath, args: command });
      expect(help.code).toBe(0);
      for (const flag of args.filter((arg) => arg.startsWith("--"))) expect(help.stdout).toContain(`${flag} `);
    }
  });

  const withCommands = pages().filter((page) => commandLines(page).length > 0);
  it.each(withCommands)(
    "%s names commands and flags of gmq that there are",
    async (page) => {
      for (const line of commandLines(page)) {
        const words = line.split(" ").slice(1);
        const flags = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/=.*/, ""));
        const depth = ["topics", "groups", "dlq"].includes(words[0] ?? "") ? 2 : 1;
        const command = words.slice(0, depth);
        const args = [entries.cli, ...command, "--help"];
        const { code, stdout } = await runProcess({ name: line, command: process.execPath, args });
        expect({ line, code }).toEqual({ line, code: 0 });
        expect(stdout, line).toContain(`gmq ${command.join(" ")}`);
        for (const flag of flags) expect(stdout, line).toContain(flag);
      }
    },
    120_000,
  );

  it.each(pages())("%s names make targets that there are", async (page) => {
    const targets = [...new Set(makeTargets(readPage(page)))];
    if (page === "README.md") expect(targets.length).toBeGreaterThan(5);
    for (const target of targets) {
      const { code, output } = await runProcess({
        name: `make -n ${target}`,
        command: "make",
        args: ["-n", target],
        cwd: root,
      });
      expect({ target, code, output: code === 0 ? "" : output }).toEqual({ target, code: 0, output: "" });
    }
  });

  it.each(pages())("%s links to what there is", (page) => {
    expect(relativeLinks(page).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it.each(pages().filter((page) => /^packages\/[^/]+\/README\.md$/.test(page)))(
    "%s names its package, how to install it and its licence",
    (page) => {
      const text = readPage(page);
      expect(text).toMatch(new RegExp(`^# @gmq/${basename(dirname(page))}$`, "m"));
      expect(text).toMatch(/npm install (-g )?@gmq\//);
      expect(text).toContain("MIT");
    },
  );
});
