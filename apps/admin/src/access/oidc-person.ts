/** What a provider's claims make of somebody. */
import { GmqError } from "@gmq/protocol";
import { claim, claimWords } from "@gmq/service";
import type { PortalUser } from "./portal-users.js";
import { isEnough, type PortalRole, portalRoles } from "./roles.js";

/** By which claims, and what their values mean. */
export interface PersonRules {
  readonly nameClaim: string;
  readonly rolesClaim: string;
  /** `value=role`, checked by the settings. */
  readonly roles: readonly string[];
  readonly otherRole: PortalRole | "none";
}

const nameLengthMax = 128;
const valuesMax = 1_024;

/** Who these claims are of. @throws GmqError `permission_denied` for somebody who has no role here */
export function personOf(claims: Readonly<Record<string, unknown>>, rules: PersonRules): PortalUser {
  const subject = String(claims["sub"]);
  const told = claim(claims, rules.nameClaim);
  const name = (typeof told === "string" && told !== "" ? told : subject).slice(0, nameLengthMax);
  const role = roleOf(claim(claims, rules.rolesClaim), rules);
  if (role === undefined) {
    throw new GmqError("permission_denied", `${name} has no role in this portal`, {
      field: rules.rolesClaim,
      limit: rules.roles.join(","),
    });
  }
  return { key: `oidc ${subject}`, name, role };
}

function roleOf(value: unknown, { roles, otherRole }: PersonRules): PortalRole | undefined {
  const has = new Set(claimWords(value, valuesMax));
  let highest: PortalRole | undefined = otherRole === "none" ? undefined : otherRole;
  for (const rule of roles) {
    const at = rule.lastIndexOf("=");
    const role = portalRoles.find((one) => one === rule.slice(at + 1));
    if (role === undefined || !has.has(rule.slice(0, at))) continue;
    if (highest === undefined || isEnough(role, highest)) highest = role;
  }
  return highest;
}
