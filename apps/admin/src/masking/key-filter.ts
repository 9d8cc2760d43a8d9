import { GmqError } from "@gmq/protocol";
import type { PortalRole } from "../access/roles.js";
import type { MaskingRules } from "./masking-rules.js";

/** Brokers compare the keys of dead letters themselves, so whoever may not see keys may not ask by one either. @throws GmqError `permission_denied` */
export function checkKeyFilter(
  rules: MaskingRules,
  role: PortalRole | undefined,
  topic: string,
  filter: { readonly key?: Uint8Array | undefined } | undefined,
): void {
  if (filter?.key === undefined || rules.fieldsOf(topic, role)?.key !== true) return;
  throw new GmqError(
    "permission_denied",
    `keys of ${topic} are masked for you, so its dead letters cannot be asked for by one`,
    {
      field: "filter.key",
    },
  );
}
