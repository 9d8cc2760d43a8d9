/** Access to a broker by its access file: bearer tokens, JWTs and client certificates become callers with rights. */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { hashToken } from "@gmq/protocol/secrets";
import type { Caller } from "@gmq/transport";
import type { Authenticate } from "../admit.js";
import { watchFiles } from "../watch-files.js";
import { type AccessDocument, readAccessDocument } from "./access-document.js";
import { bearerOf } from "./bearer.js";
import { createJwtCheck, type JwtCheck } from "./jwt.js";
import { createRights, type Rights } from "./rights.js";

/** Who may call, kept true while the file changes. */
export interface Access {
  readonly authenticate: Authenticate;
  close(): void;
}

/** One version of the file. */
interface Policy {
  readonly version: number;
  readonly byHash: ReadonlyMap<string, AccessDocument["tokens"][number]>;
  readonly byCertificate: ReadonlyMap<string, readonly string[]>;
  readonly checkJwt: JwtCheck | undefined;
  /** What `checkJwt` goes by: a token that was checked by other settings has to be checked again. */
  readonly jwtSettings: string;
  /** What roles allow together. */
  rights(roles: readonly string[]): Rights;
}

/** Callers remembered; the oldest leave first. */
const callersMax = 10_000;

/**
 * Reads the access file now and looks every `reloadMs` whether it changed. A new one counts at once, also for sessions that are open; one that is wrong is
 * logged and the old one stays.
 * @throws GmqError `invalid_argument` naming file, place and what was expected
 */
export function openAccess(flag: string, path: string, reloadMs: number, logger: Logger): Access {
  let policy = createPolicy(1, readAccessDocument(flag, path));
  /** By token, and by certificate name; a caller outlives the file's versions. */
  const tokens = new Map<string, Caller>();
  const certificates = new Map<string, Caller>();
  const current = (): Policy => policy;

  const watch = watchFiles([path], reloadMs, () => {
    try {
      policy = createPolicy(policy.version + 1, readAccessDocument(flag, path));
      tokens.clear();
      certificates.clear();
      logger.info("the access file was read again", { path });
    } catch (error) {
      logger.error("the new access file cannot be used, the old one stays", { error });
    }
  });

  function authenticate({ headers, certificateName }: Parameters<Authenticate>[0]): Caller | Promise<Caller> {
    const token = bearerOf(headers);
    if (token !== undefined) return tokens.get(token) ?? byToken(token);
    if (certificateName !== undefined) return certificates.get(certificateName) ?? byCertificate(certificateName);
    throw new GmqError("unauthenticated", "a token is needed", { field: "authorization", limit: "Bearer <token>" });
  }

  function byToken(token: string): Caller | Promise<Caller> {
    const hash = hashToken(token);
    const entry = policy.byHash.get(hash);
    if (entry !== undefined) {
      const caller = staticCaller(current, hash, entry.name);
      const problem = caller.problem();
      if (problem !== undefined) throw problem;
      return remember(tokens, token, caller);
    }
    const { checkJwt } = policy;
    if (checkJwt === undefined || token.split(".").length !== 3) {
      throw new GmqError("unauthenticated", "the token is not known", { field: "authorization" });
    }
    return jwtCaller(current, checkJwt, token).then((caller) => remember(tokens, token, caller));
  }

  function byCertificate(name: string): Caller {
    const caller = rolesCaller(current, name, ({ byCertificate }) => byCertificate.get(name));
    const problem = caller.problem();
    if (problem !== undefined) throw problem;
    return remember(certificates, name, caller);
  }

  return {
    authenticate(call) {
      const caller = authenticate(call);
      if (caller instanceof Promise) return caller;
      // One that was remembered may have run out since.
      const problem = caller.problem();
      if (problem !== undefined) throw problem;
      return caller;
    },
    close: watch.close,
  };
}

function createPolicy(version: number, document: AccessDocument): Policy {
  const known = new Map<string, Rights>();
  return {
    version,
    byHash: new Map(document.tokens.map((entry) => [entry.hash, entry])),
    byCertificate: new Map(document.certificates.map(({ name, roles }) => [name, roles])),
    jwtSettings: JSON.stringify(document.jwt ?? null),
    checkJwt: document.jwt === undefined ? undefined : createJwtCheck(document.jwt),
    rights(roles) {
      const key = JSON.stringify(roles);
      const rights = known.get(key) ?? createRights(roles.flatMap((role) => document.roles[role] ?? []));
      if (known.size >= callersMax) known.clear();
      known.set(key, rights);
      return rights;
    },
  };
}

function staticCaller(current: () => Policy, hash: string, name: string): Caller {
  return rolesCaller(current, name, ({ byHash }) => {
    const entry = byHash.get(hash);
    if (entry?.expires !== undefined && Date.parse(entry.expires) <= Date.now()) return undefined;
    return entry?.roles;
  });
}

async function jwtCaller(current: () => Policy, check: JwtCheck, token: string): Promise<Caller> {
  const settings = current().jwtSettings;
  const { name, roles, expiresAtMs } = await check(token);
  return rolesCaller(current, name, ({ jwtSettings }) =>
    jwtSettings === settings && Date.now() < expiresAtMs ? roles : undefined,
  );
}

/** A caller whose roles are looked up again with each version of the file; undefined roles: it may not come in any more. */
function rolesCaller(
  current: () => Policy,
  name: string,
  rolesOf: (policy: Policy) => readonly string[] | undefined,
): Caller {
  let seen: Policy | undefined;
  let rights: Rights | undefined;

  function now(): Rights | undefined {
    const policy = current();
    if (policy === seen) return rights;
    const roles = rolesOf(policy);
    seen = policy;
    rights = roles === undefined ? undefined : policy.rights(roles);
    return rights;
  }

  return {
    name,
    mayTopic: (action, topic) => now()?.topic(action, topic) ?? false,
    mayGroup: (action, group) => now()?.group(action, group) ?? false,
    problem: () =>
      rolesOf(current()) === undefined
        ? new GmqError("unauthenticated", "the token or certificate ran out or was taken back", {
            field: "authorization",
          })
        : undefined,
    get version() {
      return current().version;
    },
  };
}

function remember(callers: Map<string, Caller>, key: string, caller: Caller): Caller {
  callers.set(key, caller);
  if (callers.size <= callersMax) return caller;
  for (const oldest of callers.keys()) {
    callers.delete(oldest);
    break;
  }
  return caller;
}
