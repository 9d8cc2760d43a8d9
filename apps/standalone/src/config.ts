import { portalAccessFields, portalAccessFlags, portalBehaviour, portalFlags } from "@gmq/app-admin";
import { brokerBehaviour } from "@gmq/app-broker";
import { redisTlsFields, redisTlsFlags, storageSchema, storageTokenFields, storageTokenFlags } from "@gmq/app-storage";
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

const { redisUrl, keyPrefix, storeBytesMax, lagSeriesMax } = storageSchema.shape;

/** Settings of GMQ in one process. */
export const standaloneSchema = z.object({
  addr: addressField("where the broker listens", "127.0.0.1:50051"),
  storageAddr: addressField("where the storage service listens", "127.0.0.1:50052"),
  adminAddr: addressField("where the portal listens", "127.0.0.1:8080"),
  data: z.string().min(1).default(".gmq").describe("folder of the embedded engine"),
  memory: z.boolean().default(false).describe("keep everything in memory only: it is gone when the process ends"),
  redisUrl: redisUrl.describe("keep everything in this Redis, in place of the embedded engine"),
  ...redisTlsFields,
  keyPrefix,
  storeBytesMax,
  lagSeriesMax,
  ...brokerBehaviour,
  ...portalBehaviour,
  ...portalAccessFields,
  ...storageTokenFields,
  ...portFields,
  ...limitFields,
  logLevel: logLevelField,
  drainTimeoutMs: drainTimeoutField,
});

export type StandaloneConfig = z.infer<typeof standaloneSchema>;

/** How the settings are named on the command line. */
export const standaloneConfigOptions: Pick<ConfigOptions<typeof standaloneSchema>, "flags" | "schema"> = {
  schema: standaloneSchema,
  flags: {
    addr: { placeholder: "host:port" },
    storageAddr: { placeholder: "host:port" },
    adminAddr: { placeholder: "host:port" },
    data: { placeholder: "folder" },
    redisUrl: { placeholder: "url", secret: true },
    storeBytesMax: { placeholder: "bytes" },
    heartbeatMs: { placeholder: "ms" },
    ...redisTlsFlags,
    accessFile: { placeholder: "file" },
    ...portalFlags,
    ...portalAccessFlags,
    ...storageTokenFlags,
    ...portFlags,
    ...limitFlags,
    allowedOrigins: { placeholder: "url,url" },
    drainTimeoutMs: { placeholder: "ms" },
  },
};
