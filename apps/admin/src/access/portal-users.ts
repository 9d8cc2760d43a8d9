/** The access file of the portal: people with passwords, programs with tokens. */
import type { Logger } from "@gmq/log";
import { hashToken, isPassword, passwordHashPattern, tokenHashPattern } from "@gmq/protocol/secrets";
import { readDocument, watchFiles } from "@gmq/service";
import { z } from "zod";
import { type PortalRole, portalRoles } from "./roles.js";

const name = z.string().min(1).max(128);
const role = z.enum(portalRoles);
const document = z.strictObject({
  users: z
    .array(
      z.strictObject({
        name,
        password: z.string().regex(passwordHashPattern, "expected scrypt:…; `gmq token password` prints one"),
        role,
      }),
    )
    .max(10_000)
    .refine((list) => new Set(list.map((user) => user.name)).size === list.length, "a name is there twice")
    .default([]),
  tokens: z
    .array(
      z.strictObject({
        name,
        hash: z.string().regex(tokenHashPattern, "expected sha256:…; `gmq token create` prints one"),
        role,
      }),
    )
    .max(10_000)
    .default([]),
});

/** Somebody who may log in. `key` changes with the secret: who logged in by an older one is out. */
export interface PortalUser {
  readonly key: string;
  readonly name: string;
  readonly role: PortalRole;
}

/** Who may log in now. */
export interface PortalUsers {
  byToken(token: string): PortalUser | undefined;
  /** Takes as long for a name that nobody has. */
  byPassword(name: string, password: string): Promise<PortalUser | undefined>;
  /** The user of this key, if it is still there. */
  byKey(key: string): PortalUser | undefined;
  /** Everybody, people before programs. */
  list(): readonly PortalLogin[];
  close(): void;
}

/** Somebody of the file, without any secret. */
export interface PortalLogin {
  readonly name: string;
  readonly role: PortalRole;
  /** A program with a token; else somebody with a password. */
  readonly token: boolean;
}

/** Compared with where there is no such user, so that time does not tell. */
const nobodysHash = `scrypt:32768:8:1:${"A".repeat(22)}:${"A".repeat(43)}`;

/** Reads the file now and looks every `reloadMs` whether it changed; one that is wrong is logged and the old one stays. @throws GmqError `invalid_argument` */
export function openPortalUsers(flag: string, path: string, reloadMs: number, logger: Logger): PortalUsers {
  let users = readUsers(flag, path);
  const watch = watchFiles([path], reloadMs, () => {
    try {
      users = readUsers(flag, path);
      logger.info("the portal's access file was read again", { path });
    } catch (error) {
      logger.error("the portal's new access file cannot be used, the old one stays", { error });
    }
  });
  return {
    byToken: (token) => users.get(hashToken(token))?.user,
    async byPassword(wanted, password) {
      const found = [...users.values()].find(({ user, kept }) => user.name === wanted && kept.startsWith("scrypt:"));
      const isRight = await isPassword(password, found?.kept ?? nobodysHash);
      return isRight ? found?.user : undefined;
    },
    byKey: (key) => users.get(key)?.user,
    list: () =>
      [...users.values()].map(({ user, kept }) => ({
        name: user.name,
        role: user.role,
        token: !kept.startsWith("scrypt:"),
      })),
    close: watch.close,
  };
}

function readUsers(flag: string, path: string) {
  const { users, tokens } = readDocument(flag, path, document);
  // Two people may have one hash, copied from one another: the name tells them apart.
  const people = users.map(({ name, password, role }) => ({
    kept: password,
    user: { key: `${name} ${password}`, name, role },
  }));
  const programs = tokens.map(({ name, hash, role }) => ({ kept: hash, user: { key: hash, name, role } }));
  return new Map([...people, ...programs].map((entry) => [entry.user.key, entry]));
}
