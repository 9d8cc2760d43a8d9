import { cp, glob } from "node:fs/promises";
import { relative } from "node:path";
import { defineConfig } from "tsup";

/**
 * The one tsup configuration of the workspace: every source file becomes one ES module in `dist` (nothing is bundled), and files
 * that code reads at run time beside itself (`*.lua`, `*.sql`) are copied along. Declarations come from `tsc`, see each package's build script.
 */
export default defineConfig({
  entry: ["src/**/*.ts", "!src/**/*.test.ts"],
  format: "esm",
  target: "node22",
  platform: "node",
  bundle: false,
  clean: true,
  dts: false,
  sourcemap: true,
  silent: true,
  tsconfig: "tsconfig.build.json",
  async onSuccess() {
    for await (const file of glob("src/**/*.{lua,sql}")) {
      await cp(file, `dist/${relative("src", file)}`);
    }
  },
});
