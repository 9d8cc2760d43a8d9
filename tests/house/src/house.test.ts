import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { readSources, type SourceFile } from "./sources.js";

const sources = readSources();
const productive = sources.filter(({ isTest }) => !isTest);

/** Who may import whom; what stands here is all there is (ARCHITECTURE.md). */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol": [],
  "packages/log": ["protocol"],
  "packages/transport": ["protocol"],
  "packages/service": ["protocol", "log", "transport"],
  "packages/storage": ["protocol", "log", "transport"],
  "packages/broker": ["protocol", "log", "transport", "storage"],
  "packages/metrics": ["protocol", "log", "storage"],
  "packages/client": ["protocol", "transport"],
  "packages/otel": ["client"],
  "packages/nestjs": ["client"],
  "packages/cli": ["protocol", "client"],
};

/** Optional peers of @gmq/client, for its test kit. */
const testKit: readonly string[] = ["broker", "service", "storage"];

describe("the house", () => {
  it("has sources to look at", () => {
    expect(productive.length).toBeGreaterThan(50);
  });

  it("lets dependencies run one way", () => {
    const broken = productive.flatMap(({ path, home, imports }) => {
      const may = allowed[home];
      if (may === undefined) return [];
      return (
        imports
          .map((name) => /^@gmq\/([a-z-]+)/.exec(name)?.[1])
          // `@gmq/client/testing` is a whole GMQ; nothing else of the client knows of it.
          .filter((name) => !(path.startsWith("packages/client/src/testing/") && testKit.includes(name ?? "")))
          .filter((name) => name !== undefined && !may.includes(name))
          .map((name) => `${path} imports @gmq/${name}`)
      );
    });
    expect(broken).toEqual([]);
  });

  it("lets nobody import apps or tests, but standalone the apps that it is made of", () => {
    const broken = sources.flatMap(({ path, home, imports }) =>
      imports
        .filter((name) => home !== "apps/standalone" || !/^@gmq\/app-/.test(name))
        .filter((name) => /@gmq\/(app-|e2e|house|bench|examples)|\/(apps|tests)\//.test(name))
        .map((name) => `${path} imports ${name}`),
    );
    expect(broken).toEqual([]);
  });

  it("has no import cycle", () => {
    expect(findCycle(productive)).toBeUndefined();
  });

  it("keeps files under 400 lines, tests under 600", () => {
    const long = sources
      .filter(({ lines, isTest }) => lines > (isTest ? 600 : 400))
      .map(({ path, lines }) => `${path}: ${lines}`);
    expect(long).toEqual([]);
  });

  it("names files in kebab case and never utils, helpers, common, base, manager, impl", () => {
    const odd = sources
      .map(({ path }) => path)
      .filter(
        (path) =>
          !/^[a-z0-9.-]+\.tsx?$/.test(path.slice(path.lastIndexOf("/") + 1)) ||
          /\b(utils?|helpers?|common|base|manager|impl)\b/.test(path),
      );
    expect(odd).toEqual([]);
  });

  it("holds nothing unfinished and no swallowed error", () => {
    const marks = sources.flatMap(({ path, text }) =>
      text
        .split("\n")
        .flatMap((line, index) =>
          /\b(TODO|FIXME|XXX|HACK)\b|\b(it|test|describe)\.(skip|only)\(|catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*\{\s*\}\)/.test(
            line,
          )
            ? [`${path}:${index + 1} ${line.trim()}`]
            : [],
        ),
    );
    expect(marks).toEqual([]);
  });

  it("has no default export outside of configuration", () => {
    expect(productive.filter(({ text }) => /^export default /m.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

/** A cycle of value imports inside one package, as a list of paths. */
function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];

  function visit(path: string): string[] | undefined {
    if (state.get(path) === "done") return undefined;
    if (state.get(path) === "open") return [...trail.slice(trail.indexOf(path)), path];
    state.set(path, "open");
    trail.push(path);
    for (const name of byPath.get(path)?.valueImports ?? []) {
      if (!name.startsWith(".")) continue;
      const target = normalize(join(dirname(path), name)).replace(/\.js$/, "");
      const next = [`${target}.ts`, `${target}.tsx`].find((candidate) => byPath.has(candidate));
      const cycle = next === undefined ? undefined : visit(next);
      if (cycle !== undefined) return cycle;
    }
    trail.pop();
    state.set(path, "done");
    return undefined;
  }

  for (const { path } of files) {
    const cycle = visit(path);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
