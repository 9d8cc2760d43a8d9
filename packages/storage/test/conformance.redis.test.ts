import { afterAll, beforeAll, describe, it } from "vitest";
import { type ConformanceTarget, defineConformance } from "../src/conformance.js";
import { redisTarget, remoteTarget } from "./conformance-targets.js";

let started: Awaited<ReturnType<typeof redisTarget>> | undefined;
beforeAll(async () => {
  started = await redisTarget();
});
afterAll(async () => {
  await started?.stop();
});

const redis: ConformanceTarget = {
  name: "redis",
  makeStore() {
    if (started === undefined) throw new Error("the redis-server was not started");
    return started.makeStore();
  },
};
const runner = { describe, it, beforeAll, afterAll };
defineConformance(redis, runner);
defineConformance(remoteTarget(redis), runner);
