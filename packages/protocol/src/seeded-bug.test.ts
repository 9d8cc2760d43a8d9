import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** What a process with such an environment says of a bug. */
function asked(environment: Record<string, string>): string {
  const file = join(import.meta.dirname, "seeded-bug.ts");
  const script = `const { hasSeededBug } = await import(${JSON.stringify(file)}); console.log(hasSeededBug("swallow-oom"))`;
  const env = { PATH: process.env["PATH"] ?? "", ...environment };
  return execFileSync(process.execPath, ["--input-type=module", "-e", script], { env }).toString().trim();
}

test("a seeded bug needs both switches", () => {
  expect(asked({ NODE_ENV: "test", GMQ_SEEDED_BUG: "swallow-oom" })).toBe("true");
  expect(asked({ NODE_ENV: "test", GMQ_SEEDED_BUG: "settle-backwards" })).toBe("false");
  expect(asked({ GMQ_SEEDED_BUG: "swallow-oom" })).toBe("false");
  expect(asked({ NODE_ENV: "production", GMQ_SEEDED_BUG: "swallow-oom" })).toBe("false");
  expect(asked({ NODE_ENV: "test" })).toBe("false");
});
