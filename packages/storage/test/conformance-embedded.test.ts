import { afterAll, beforeAll, describe, it } from "vitest";
import { defineConformance } from "../src/conformance.js";
import { fileTarget, memoryTarget, remoteTarget } from "./conformance-targets.js";

const runner = { describe, it, beforeAll, afterAll };
defineConformance(fileTarget, runner);
defineConformance(memoryTarget, runner);
defineConformance(remoteTarget(fileTarget), runner);
