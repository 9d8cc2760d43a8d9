import { Redis } from "ioredis";

/** Sends one command to a Redis of this machine, past every proxy. @throws Redis' error, or when it does not answer within `timeoutMs` */
export async function redisCommand(
  port: number,
  command: string,
  args: readonly (string | number)[] = [],
  timeoutMs = 10_000,
): Promise<unknown> {
  const redis = new Redis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
    connectTimeout: timeoutMs,
  });
  // What goes wrong is told by the command's promise.
  redis.on("error", () => redis.disconnect());
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}
