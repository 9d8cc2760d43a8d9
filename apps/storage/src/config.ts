import {
  addressField,
  type ConfigOptions,
  drainTimeoutField,
  limitFields,
  limitFlags,
  logLevelField,
  portFields,
  portFlags,
} from "@gmq/service";
import { z } from "zod";

/** A list of addresses. */
function nodesField(description: string) {
  const node = z.string().regex(/^[^:\s]+:\d{1,5}$/, "expected host:port, or several with commas between them");
  return z.array(node).min(1).optional().describe(description);
}

/** What callers of the storage port have to say; the same names as the brokers' own settings have. */
export const storageTokenFields = {
  storageToken: z.string().min(1).optional().describe("token that brokers have to say; default: everybody may call"),
  storageTokenFile: z.string().min(1).optional().describe("file that holds this token, read again when it changes"),
};

/** How they are named on the command line. */
export const storageTokenFlags = {
  storageToken: { placeholder: "token", secret: true },
  storageTokenFile: { placeholder: "file" },
} as const;

/** Certificates for Redis over TLS. */
export const redisTlsFields = {
  redisCa: z
    .string()
    .min(1)
    .optional()
    .describe("file of the authorities to trust for rediss://, PEM; default: the system's"),
  redisCert: z.string().min(1).optional().describe("file of the certificate to show to Redis, PEM"),
  redisKey: z.string().min(1).optional().describe("file of that certificate's private key, PEM"),
};

/** How they are named on the command line. */
export const redisTlsFlags = {
  redisCa: { placeholder: "file" },
  redisCert: { placeholder: "file" },
  redisKey: { placeholder: "file" },
} as const;

const redisUrlForm = "expected redis://[user:password@]host[:port][/database] or rediss://…";

/** Settings of the storage service. */
export const storageSchema = z.object({
  addr: addressField("where to listen", "127.0.0.1:50052"),
  redisUrl: z
    .string()
    .regex(/^rediss?:\/\/.+/, redisUrlForm)
    .refine((text) => URL.canParse(text), redisUrlForm)
    .optional()
    .describe("Redis, as a URL; in place of --redis-addr and --redis-pass"),
  redisAddr: z
    .string()
    .regex(/^[^:\s]+:\d{1,5}$/, "expected host:port")
    .default("127.0.0.1:6379")
    .describe("Redis, as host:port"),
  redisCluster: nodesField(
    "nodes of a Redis Cluster, host:port each; one that answers is enough, the others are found through it",
  ),
  redisSentinels: nodesField("Sentinels, host:port each, that say where the master of --redis-master is"),
  redisMaster: z.string().min(1).default("mymaster").describe("name of the master that the Sentinels watch"),
  redisReplicas: z
    .number()
    .int()
    .min(0)
    .max(8)
    .default(0)
    .describe("replicas of Redis that must have a record before its producer is answered"),
  redisReplicaTimeoutMs: z
    .number()
    .int()
    .min(1)
    .max(8_000)
    .default(1_000)
    .describe("how long they have; past it the producer is told that the outcome is not known, and sends again"),
  redisUser: z.string().default("").describe("user of Redis' ACL; default: the one that has no name"),
  redisPass: z.string().default("").describe("password of Redis"),
  redisSentinelUser: z.string().default("").describe("user of the Sentinels' own ACL"),
  redisSentinelPass: z
    .string()
    .default("")
    .describe("password of the Sentinels themselves, which is not that of Redis"),
  redisTls: z
    .boolean()
    .default(false)
    .describe("call Redis (and Sentinels) over TLS; --redis-ca and --redis-cert say so, too"),
  ...redisTlsFields,
  keyPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, "expected 1 to 64 of letters, digits, . _ -")
    .default("gmq")
    .describe("first word of every Redis key, so that stores can share a Redis"),
  data: z.string().min(1).optional().describe("folder of the embedded engine, in place of Redis"),
  storeBytesMax: z
    .number()
    .int()
    .min(1024)
    .optional()
    .describe(
      "bytes at which the store takes no more records (slowed from 90 % on); for Redis its memory, default its maxmemory",
    ),
  ...storageTokenFields,
  ...portFields,
  ...limitFields,
  storageId: z.string().min(1).optional().describe("name of this service, shown to operators; default random"),
  lagSeriesMax: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(2_000)
    .describe("groups x partitions with a lag series of their own in /metrics; with more, one sum per group"),
  logLevel: logLevelField,
  drainTimeoutMs: drainTimeoutField,
});

export type StorageConfig = z.infer<typeof storageSchema>;

/** How the settings are named on the command line. */
export const storageConfigOptions: Pick<ConfigOptions<typeof storageSchema>, "flags" | "schema"> = {
  schema: storageSchema,
  flags: {
    addr: { placeholder: "host:port" },
    redisUrl: { placeholder: "url", secret: true },
    redisAddr: { placeholder: "host:port" },
    redisCluster: { placeholder: "host:port,…" },
    redisSentinels: { placeholder: "host:port,…" },
    redisMaster: { placeholder: "name" },
    redisReplicas: { placeholder: "n" },
    redisReplicaTimeoutMs: { placeholder: "ms" },
    redisUser: { placeholder: "name" },
    redisPass: { placeholder: "password", secret: true },
    redisSentinelUser: { placeholder: "name" },
    redisSentinelPass: { placeholder: "password", secret: true },
    ...redisTlsFlags,
    ...storageTokenFlags,
    ...portFlags,
    ...limitFlags,
    data: { placeholder: "folder" },
    storeBytesMax: { placeholder: "bytes" },
    storageId: { placeholder: "name" },
    drainTimeoutMs: { placeholder: "ms" },
  },
};
