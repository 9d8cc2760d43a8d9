import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type PortalServiceListAccessResponse, PortalServiceListAccessResponseSchema } from "@gmq/protocol/messages";
import { adminWrites } from "../calls/admin-routes.js";
import type { MaskingRules } from "../masking/masking-rules.js";
import type { PortalAccess } from "./portal-access.js";
import { actsOf, isEnough, portalCallerOf, roleFor } from "./roles.js";

/** Who the caller is and what he may; an admin, and where access is off everybody, is told of all the others. */
export function listAccess(
  { isOn, logins, provider }: Pick<PortalAccess, "isOn" | "logins" | "provider">,
  masking: MaskingRules,
  readOnly: boolean,
  context: HandlerContext,
): PortalServiceListAccessResponse {
  const caller = portalCallerOf(context);
  const known = { on: isOn, name: caller?.name ?? "", role: caller?.role ?? "", readOnly };
  const acts = actsOf(adminWrites).map((action) => ({ action, role: roleFor(action) }));
  if (caller !== undefined && !isEnough(caller.role, "admin")) {
    return create(PortalServiceListAccessResponseSchema, { ...known, acts });
  }
  return create(PortalServiceListAccessResponseSchema, {
    ...known,
    acts,
    logins: logins().map((login) => ({ ...login })),
    provider,
    masking: masking.list().map(({ topics, fields, except }) => ({ topics, fields, except })),
  });
}
