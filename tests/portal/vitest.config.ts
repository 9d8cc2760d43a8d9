import { mergeConfig } from "vitest/config";
import base from "../../vitest.base.ts";

/** One file at a time: each starts a deployment and a browser, which keep two cores busy. */
export default mergeConfig(base, { test: { fileParallelism: false, testTimeout: 120_000, hookTimeout: 120_000 } });
