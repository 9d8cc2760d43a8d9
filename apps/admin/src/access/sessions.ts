/** Who is logged in: random ids in a bounded store of this process. A restart of the portal logs everybody out. */
import { createHash, randomBytes } from "node:crypto";
import type { PortalUser } from "./portal-users.js";

/** How long a session lives. */
export interface SessionTimes {
  /** Without a call. */
  readonly idleMs: number;
  /** At all. */
  readonly ageMsMax: number;
}

/** Whose session it is. */
export interface Login {
  /** Who it is now; undefined: nobody any more. */
  readonly user: () => PortalUser | undefined;
  /** Of who came by a provider: where to log out of it, too. */
  readonly logoutUrl?: (() => Promise<string | undefined>) | undefined;
}

export interface Sessions {
  /** Logs somebody in; the id goes into the cookie and is kept nowhere. */
  open(login: Login): string;
  /** The login of a session that is alive; this counts as a sign of life. */
  use(id: string): Login | undefined;
  /** The same, without a sign of life: a page that only watches does not keep a session alive. */
  peek(id: string): Login | undefined;
  /** Ends it. */
  close(id: string): void;
}

interface Session {
  readonly login: Login;
  readonly openedMs: number;
  usedMs: number;
}

/** Past it the session unused for longest ends. */
export const sessionsMax = 1_000;

/** Makes the store. */
export function createSessions({ idleMs, ageMsMax }: SessionTimes, nowMs: () => number = Date.now): Sessions {
  /** By the id's hash, in order of use: who sees this process' memory or a dump of it has no cookie yet. */
  const sessions = new Map<string, Session>();

  function find(id: string): { readonly key: string; readonly session: Session } | undefined {
    const key = createHash("sha256").update(id).digest("base64url");
    const session = sessions.get(key);
    if (session === undefined) return undefined;
    const now = nowMs();
    if (now - session.usedMs <= idleMs && now - session.openedMs <= ageMsMax) return { key, session };
    sessions.delete(key);
    return undefined;
  }

  return {
    open(login) {
      const id = randomBytes(32).toString("base64url");
      const now = nowMs();
      const [oldest] = sessions.keys();
      if (sessions.size >= sessionsMax && oldest !== undefined) sessions.delete(oldest);
      sessions.set(createHash("sha256").update(id).digest("base64url"), { login, openedMs: now, usedMs: now });
      return id;
    },
    use(id) {
      const found = find(id);
      if (found === undefined) return undefined;
      found.session.usedMs = nowMs();
      sessions.delete(found.key);
      sessions.set(found.key, found.session);
      return found.session.login;
    },
    peek: (id) => find(id)?.session.login,
    close(id) {
      const found = find(id);
      if (found !== undefined) sessions.delete(found.key);
    },
  };
}
