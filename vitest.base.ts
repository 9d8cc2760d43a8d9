import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The one vitest configuration of the workspace; `make test` sums the JSON reports. Redis tests (`*.redis.test.ts`) run in the same run. */
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    passWithNoTests: true,
    // In CI a test that fails runs once more, and the summary names it: a busy machine must not hide what else failed, nor a flaw its second try.
    retry: process.env["CI"] === "true" ? 1 : 0,
    setupFiles: [fileURLToPath(new URL("./vitest.setup.ts", import.meta.url))],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // A condition that is waited for has time, also on a machine that is busy with other things.
    expect: { poll: { timeout: 15_000, interval: 20 } },
    reporters: ["default", ["json", { outputFile: ".reports/vitest.json" }]],
  },
});
