import { defineConfig } from "vitest/config";

/** Takes the pictures of docs/portal: `pnpm --filter @gmq/portal-tests screenshots`. */
export default defineConfig({
  test: { include: ["src/take-screenshots.ts"], testTimeout: 180_000, hookTimeout: 60_000 },
});
