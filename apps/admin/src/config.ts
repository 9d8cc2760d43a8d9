import { addressField, type ConfigOptions, drainTimeoutField, logLevelField, originsField } from "@gmq/service";
import { z } from "zod";

/** Settings of the portal itself, wherever it runs. */
export const portalBehaviour = {
  environment: z
    .string()
    .max(40)
    .default("")
    .describe('name of what is administered, shown on every page, for example "production"'),
  environmentColor: z
    .enum(["gray", "blue", "green", "amber", "red", "violet"])
    .default("gray")
    .describe("colour of that name"),
  readOnly: z.boolean().default(false).describe("refuse every write that comes through the portal"),
  publicUrls: z
    .array(z.url({ protocol: /^https?$/ }))
    .max(16)
    .default([])
    .describe("URLs under which browsers reach the portal, when a proxy stands in front"),
  actorHeader: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, "expected a header name")
    .optional()
    .describe("request header in which a trusted proxy names the person, for the audit; default: the address"),
};

/** Settings of the portal. */
export const adminSchema = z.object({
  addr: addressField("where to listen", "127.0.0.1:8080"),
  brokers: originsField("brokers to show", ["http://127.0.0.1:50051"]),
  ...portalBehaviour,
  data: z.string().min(1).optional().describe("folder that keeps the audit of writes; default: in memory only"),
  logLevel: logLevelField,
  drainTimeoutMs: drainTimeoutField,
});

export type AdminConfig = z.infer<typeof adminSchema>;

/** How the portal's own settings are named on the command line. */
export const portalFlags = {
  environment: { placeholder: "name" },
  publicUrls: { placeholder: "url,url" },
  actorHeader: { placeholder: "name" },
} as const;

/** How the settings are named on the command line. */
export const adminConfigOptions: Pick<ConfigOptions<typeof adminSchema>, "flags" | "schema"> = {
  schema: adminSchema,
  flags: {
    addr: { placeholder: "host:port" },
    brokers: { placeholder: "url,url" },
    ...portalFlags,
    data: { placeholder: "folder" },
    drainTimeoutMs: { placeholder: "ms" },
  },
};
