import { mergeConfig } from "vitest/config";
import base from "../../vitest.base.ts";

/** The pages' own tests run here too, without a browser; tests/portal drives a real one. */
export default mergeConfig(base, { test: { include: ["web/src/**/*.test.ts"] } });
