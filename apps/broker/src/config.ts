import { brokerLimitRanges, brokerLimits } from "@gmq/broker";
import {
  addressField,
  type ConfigOptions,
  drainTimeoutField,
  limitFields,
  limitFlags,
  logLevelField,
  originsField,
  peerFields,
  peerFlags,
  portFields,
  portFlags,
} from "@gmq/service";
import { z } from "zod";

const limitDefaults = brokerLimits();

function limitField(name: keyof typeof brokerLimitRanges, description: string) {
  const [min, max, unit] = brokerLimitRanges[name];
  const text = `${description}; ${min} to ${max} ${unit}`;
  return z.number().int().min(min).max(max).default(limitDefaults[name]).describe(text);
}

/** Bounds of a broker against abuse. */
export const brokerLimitFields = {
  framesPerSecondMax: limitField("framesPerSecondMax", "frames of one session; over it the session is read no further"),
  publishBytesInFlightMax: limitField(
    "publishBytesInFlightMax",
    "unstored batches of one session, before it is read no further",
  ),
  recordBytesMax: limitField("recordBytesMax", "one record"),
  batchBytesMax: limitField("batchBytesMax", "one batch as sent"),
  batchUncompressedBytesMax: limitField("batchUncompressedBytesMax", "one batch unpacked"),
  topicsAutoCreatedMax: limitField("topicsAutoCreatedMax", "topics from which on none is made by use"),
  metadataCallsPerSecondMax: limitField(
    "metadataCallsPerSecondMax",
    "admin calls, topic look-ups and subscriptions of one caller",
  ),
};

/** What a broker is told wherever its store is. */
export const brokerBehaviour = {
  partitions: z
    .number()
    .int()
    .min(1)
    .max(4_096)
    .default(4)
    .describe("partitions of topics that are made by use, 1 to 4096"),
  autoCreateTopics: z.boolean().default(true).describe("whether the first publish or subscribe makes a topic"),
  heartbeatMs: z
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(3_000)
    .describe(
      "ms between heartbeats of sessions, 100 to 60000, fewer with many sessions; a client without consumers that is silent for three of them is gone, one with consumers after its session timeout",
    ),
  allowedOrigins: z
    .array(z.url({ protocol: /^https?$/, error: "expected an origin such as https://example.org" }))
    .default([])
    .describe("origins of web pages that may call this broker"),
  accessFile: z
    .string()
    .min(1)
    .optional()
    .describe("file that says who may publish, consume and administer what; default: everybody may everything"),
  ...brokerLimitFields,
};

/** Settings of the broker. */
export const brokerSchema = z.object({
  addr: addressField("where to listen", "127.0.0.1:50051"),
  storage: originsField("storage services over one store", ["http://127.0.0.1:50052"]),
  ...brokerBehaviour,
  ...portFields,
  ...limitFields,
  ...peerFields("storage", "the storage services"),
  brokerId: z.string().min(1).optional().describe("name of this broker, shown to operators; default random"),
  logLevel: logLevelField,
  drainTimeoutMs: drainTimeoutField,
});

export type BrokerConfig = z.infer<typeof brokerSchema>;

/** How the settings are named on the command line. */
export const brokerConfigOptions: Pick<ConfigOptions<typeof brokerSchema>, "flags" | "schema"> = {
  schema: brokerSchema,
  flags: {
    addr: { placeholder: "host:port" },
    storage: { placeholder: "url,url" },
    heartbeatMs: { placeholder: "ms" },
    allowedOrigins: { placeholder: "url,url" },
    accessFile: { placeholder: "file" },
    ...portFlags,
    ...limitFlags,
    ...peerFlags("storage"),
    brokerId: { placeholder: "name" },
    drainTimeoutMs: { placeholder: "ms" },
  },
};
