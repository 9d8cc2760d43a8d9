import { defineConfig } from "vitest/config";

/** The load cases: `pnpm --filter @gmq/portal-tests test-load`. */
export default defineConfig({
  test: { include: ["src/under-load.ts"], testTimeout: 300_000, hookTimeout: 60_000 },
});
