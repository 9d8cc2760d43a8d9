import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorTable } from "@gmq/protocol";
import { expect, it } from "vitest";
import { root } from "./sources.js";

const path = join(root, "docs/errors.md");

it("docs/errors.md is the error table", () => {
  // The meanings stand beside the codes for whoever reads or writes them; clients need not carry them.
  const source = readFileSync(join(root, "packages/protocol/src/errors.ts"), "utf8");
  const meanings = new Map(
    Array.from(source.matchAll(/\/\*\* (.+) \*\/\n {2}(\w+): rule\(/g), ([, meaning, code]) => [code, meaning]),
  );
  const rows = Object.entries(errorTable).map(
    ([code, { retryable, status }]) =>
      `| \`${code}\` | ${retryable ? "yes" : "no"} | \`${status}\` | ${meanings.get(code)} |`,
  );
  const text = `# Errors

One table for every service, frame and client: \`GmqError.code\`, \`GmqError.retryable\`. Frames carry the code; unary calls carry it as a detail
(\`gmq.v1.Error\`) beside the gRPC status. \`field\` names what was refused, \`limit\` the bound with its unit. Codes are never reused for another meaning.
*Retryable* means that the same request may succeed later and that sending it again is safe.

| code | retryable | gRPC status | meaning |
|---|---|---|---|
${rows.join("\n")}

Written from \`packages/protocol/src/errors.ts\`; run \`GMQ_TEST_UPDATE_DOCS=1 pnpm --filter @gmq/house test\` after a change there.
`;
  if (process.env["GMQ_TEST_UPDATE_DOCS"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});
