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
import { isNetwork } from "./access/client-address.js";
import { oidcFields, oidcFlags } from "./access/oidc-settings.js";

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
  trustedProxies: z
    .array(z.string().refine(isNetwork, "expected an address or a network such as 10.0.0.0/8"))
    .max(64)
    .default([])
    .describe("proxies whose x-forwarded-for says who calls, for the limit on logins, the log and the audit"),
};

/** Settings of the portal's login, wherever it runs. */
export const portalAccessFields = {
  portalAccessFile: z
    .string()
    .min(1)
    .optional()
    .describe("file that says who may log in and as what; default: everybody may everything"),
  portalMaskingFile: z
    .string()
    .min(1)
    .optional()
    .describe("file that says which fields of records are masked, and for whom; default: none"),
  portalAlertsFile: z
    .string()
    .min(1)
    .optional()
    .describe("file that says what the portal gives alarm about, and whom it tells; default: its own rules, nobody"),
  sessionIdleMs: z
    .number()
    .int()
    .min(1_000)
    .max(86_400_000)
    .default(1_800_000)
    .describe("ms without a call after which a login is over, 1000 to 86400000"),
  sessionAgeMsMax: z
    .number()
    .int()
    .min(1_000)
    .max(2_592_000_000)
    .default(43_200_000)
    .describe("ms after which a login is over in any case, 1000 to 2592000000"),
  loginFailuresPerMinuteMax: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(10)
    .describe("failed logins a minute from one address, 1 to 1000; more are refused"),
  ...oidcFields,
};

/** How they are named on the command line. */
export const portalAccessFlags = {
  portalAccessFile: { placeholder: "file" },
  portalMaskingFile: { placeholder: "file" },
  portalAlertsFile: { placeholder: "file" },
  sessionIdleMs: { placeholder: "ms" },
  sessionAgeMsMax: { placeholder: "ms" },
  ...oidcFlags,
} as const;

/** Settings of the portal. */
export const adminSchema = z.object({
  addr: addressField("where to listen", "127.0.0.1:8080"),
  brokers: originsField("brokers to show", ["http://127.0.0.1:50051"]),
  ...portalBehaviour,
  ...portalAccessFields,
  ...portFields,
  ...limitFields,
  ...peerFields("broker", "the brokers"),
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
  trustedProxies: { placeholder: "address,…" },
} as const;

/** How the settings are named on the command line. */
export const adminConfigOptions: Pick<ConfigOptions<typeof adminSchema>, "flags" | "schema"> = {
  schema: adminSchema,
  flags: {
    addr: { placeholder: "host:port" },
    brokers: { placeholder: "url,url" },
    ...portalFlags,
    ...portalAccessFlags,
    ...portFlags,
    ...limitFlags,
    ...peerFlags("broker"),
    data: { placeholder: "folder" },
    drainTimeoutMs: { placeholder: "ms" },
  },
};
