/** The storage package as a user gets it: packed, installed from tarballs into an empty project, and run with the text of its README. */
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startRedis, type TestRedis } from "./harness/redis-server.js";
import { root, temporaryFolder } from "./harness/workspace.js";

const run = promisify(execFile);
const packed = ["protocol", "log", "transport", "storage"] as const;
let project: Awaited<ReturnType<typeof temporaryFolder>>;
let redis: TestRedis;

beforeAll(async () => {
  project = await temporaryFolder();
  // Of its own: the README's snippet uses the default prefix.
  redis = await startRedis();
  const tarballs: Record<string, string> = {};
  for (const name of packed) {
    await run("pnpm", ["pack", "--pack-destination", project.path], { cwd: join(root, "packages", name) });
    const file = (await readdir(project.path)).find((found) => found.startsWith(`gmq-${name}-`));
    if (file === undefined) throw new Error(`@gmq/${name} was not packed`);
    tarballs[`@gmq/${name}`] = `file:./${file}`;
  }
  const { "@gmq/storage": storage, "@gmq/protocol": protocol, ...others } = tarballs;
  await writeFile(
    join(project.path, "package.json"),
    JSON.stringify({
      private: true,
      type: "module",
      dependencies: { "@gmq/storage": storage, "@gmq/protocol": protocol },
      // What is not published yet: the packages that these two depend on.
      overrides: { ...others, "@gmq/protocol": "$@gmq/protocol" },
    }),
  );
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"];
  await run("npm", ["install", ...flags], { cwd: project.path });
}, 120_000);

afterAll(async () => {
  await redis?.stop();
  await project?.remove();
});

/** Runs a module in the project; what it wrote. */
async function runScript(name: string, text: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const file = join(project.path, name);
  await writeFile(file, text);
  const { REDIS_URL: _, ...inherited } = process.env;
  const { stdout } = await run(process.execPath, [file], {
    cwd: project.path,
    env: { ...inherited, ...env },
    timeout: 30_000,
  });
  return stdout;
}

async function readmeSnippet(): Promise<string> {
  const text = await readFile(join(root, "packages/storage/README.md"), "utf8");
  const snippets = Array.from(text.matchAll(/^```js\n(.*?)^```$/gms), (match) => match[1]);
  expect(snippets).toHaveLength(1);
  return snippets[0] as string;
}

const lines = ["appended at offset 0", "claimed at offset 0, 0 entries pending", "one", "two", "three", "lag 0", ""];

test("the README's text runs on Redis", async () => {
  expect(await runScript("readme-redis.mjs", await readmeSnippet(), { REDIS_URL: redis.url })).toBe(lines.join("\n"));
  const again = `
    import { createRedisEngine } from "@gmq/storage/redis";
    const engine = await createRedisEngine({ url: process.env.REDIS_URL });
    console.log(engine.kind, (await engine.topics.list()).map(({ name }) => name).join());
    await engine.close();
  `;
  expect(await runScript("again.mjs", again, { REDIS_URL: redis.url })).toBe("redis orders\n");
});

test("the README's text runs on the embedded engine", async () => {
  expect(await runScript("readme-embedded.mjs", await readmeSnippet())).toBe(lines.join("\n"));
  expect(await readdir(project.path)).toContain("gmq-data");
});

test("every entry point that the README lists is one, and the other way round", async () => {
  const text = await readFile(join(root, "packages/storage/README.md"), "utf8");
  const listed = Array.from(text.matchAll(/^\| `(@gmq\/storage[a-z/]*)` \|/gm), (match) => match[1]);
  const manifest = JSON.parse(await readFile(join(root, "packages/storage/package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  const declared = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json");
  expect(declared.map((entry) => entry.replace(".", "@gmq/storage")).sort()).toEqual([...listed].sort());
  // The conformance suite needs fast-check, which is the user's to install.
  const imported = declared
    .filter((entry) => entry !== "./conformance")
    .map((entry) => entry.replace(".", "@gmq/storage"));
  const script = imported.map((entry) => `await import(${JSON.stringify(entry)});`).join("\n");
  expect(await runScript("entries.mjs", `${script}\nconsole.log("all");`)).toBe("all\n");
});
