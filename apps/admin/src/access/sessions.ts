/** Who is logged in: random ids in a bounded store of this process. A restart of the portal logs everybody out. */
import { createHash, randomBytes } from "node:crypto";

/** How long a session lives. */
export interface SessionTimes {
  /** Without a call. */
  readonly idleMs: number;
  /** At all. */
  readonly ageMsMax: number;
}

export interface Sessions {
  /** Logs a user in; the id goes into the cookie and is kept nowhere. */
  open(userKey: string): string;
  /** The user of a session that is alive; this counts as a sign of life. */
  use(id: string): string | undefined;
  /** The same, without a sign of life: a page that only watches does not keep a session alive. */
  peek(id: string): string | undefined;
  close(id: string): void;
}

interface Session {
  readonly userKey: string;
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
    open(userKey) {
      const id = randomBytes(32).toString("base64url");
      const now = nowMs();
      const [oldest] = sessions.keys();
      if (sessions.size >= sessionsMax && oldest !== undefined) sessions.delete(oldest);
      sessions.set(createHash("sha256").update(id).digest("base64url"), { userKey, openedMs: now, usedMs: now });
      return id;
    },
    use(id) {
      const found = find(id);
      if (found === undefined) return undefined;
      found.session.usedMs = nowMs();
      sessions.delete(found.key);
      sessions.set(found.key, found.session);
      return found.session.userKey;
    },
    peek: (id) => find(id)?.session.userKey,
    close(id) {
      const found = find(id);
      if (found !== undefined) sessions.delete(found.key);
    },
  };
}
