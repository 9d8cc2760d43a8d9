import { describe, expect, it } from "vitest";
import { type PersonRules, personOf } from "./oidc-person.js";

const rules: PersonRules = {
  nameClaim: "preferred_username",
  rolesClaim: "groups",
  roles: ["/gmq/admins=admin", "ops=operator", "a=b=viewer"],
  otherRole: "none",
};
const claims = { sub: "1234", preferred_username: "ada", groups: ["ops"] };

describe("who the provider's claims are of", () => {
  it("has a name, a key of its own, and the highest of the roles", () => {
    expect(personOf(claims, rules)).toEqual({ key: "oidc 1234", name: "ada", role: "operator" });
    expect(personOf({ ...claims, groups: ["ops", "/gmq/admins", "else"] }, rules).role).toBe("admin");
    expect(personOf({ ...claims, groups: "else ops" }, rules).role).toBe("operator");
    expect(personOf({ ...claims, groups: ["a=b"] }, rules).role).toBe("viewer");
  });

  it("is the subject where the name is missing or is no name", () => {
    for (const name of [undefined, "", 7, ["ada"]]) {
      expect(personOf({ ...claims, preferred_username: name }, rules).name).toBe("1234");
    }
    expect(personOf({ ...claims, preferred_username: "x".repeat(1_000) }, rules).name).toHaveLength(128);
  });

  it("looks for roles inside of a claim, and for a claim with dots in its name first", () => {
    const inside = { ...rules, rolesClaim: "realm_access.roles" };
    expect(personOf({ ...claims, realm_access: { roles: ["ops"] } }, inside).role).toBe("operator");
    expect(personOf({ ...claims, "realm_access.roles": ["/gmq/admins"] }, inside).role).toBe("admin");
  });

  it.each([
    ["no claim", undefined],
    ["nothing that counts", ["guests"]],
    ["what is no list", { ops: true }],
    ["what is no text", [7, null, { ops: 1 }]],
    ["another case", ["OPS"]],
  ])("may not come in with %s, or is what the settings say", (_what, groups) => {
    expect(() => personOf({ ...claims, groups }, rules)).toThrow(
      expect.objectContaining({ code: "permission_denied", field: "groups" }),
    );
    expect(personOf({ ...claims, groups }, { ...rules, otherRole: "viewer" }).role).toBe("viewer");
  });

  it("keeps a role that is higher than the one for others", () => {
    expect(personOf(claims, { ...rules, otherRole: "viewer" }).role).toBe("operator");
    expect(personOf({ ...claims, groups: ["a=b"] }, { ...rules, otherRole: "operator" }).role).toBe("operator");
  });
});
