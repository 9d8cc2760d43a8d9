/** @gmq/storage/redis: the engine over Redis Streams. */
export { createRedisEngine, type RedisEngineOptions } from "./redis/redis-engine.js";
