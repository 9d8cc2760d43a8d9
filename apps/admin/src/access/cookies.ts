import type { IncomingHttpHeaders } from "node:http";

/** One cookie of the portal's: out of reach of scripts, for https only where browsers come by https. */
export interface Cookie {
  /** Value of `set-cookie`. */
  set(value: string, ageMsMax?: number): string;
  clear(): string;
  /** What the browser sent, when it looks like what was set; undefined without it. */
  read(headers: IncomingHttpHeaders): string | undefined;
}

/** Makes it. `Strict` is sent by the portal's own pages only, `Lax` also when another site sends the browser here. */
export function createCookie(name: string, secure: boolean, sameSite: "Strict" | "Lax", pattern: RegExp): Cookie {
  const fullName = secure ? `__Host-${name}` : name;
  const rest = `; Path=/; HttpOnly; SameSite=${sameSite}${secure ? "; Secure" : ""}`;
  return {
    set: (value, ageMsMax) =>
      `${fullName}=${value}${rest}${ageMsMax === undefined ? "" : `; Max-Age=${Math.ceil(ageMsMax / 1_000)}`}`,
    clear: () => `${fullName}=${rest}; Max-Age=0`,
    read({ cookie }) {
      const found = (cookie ?? "").split(/;\s*/).find((part) => part.startsWith(`${fullName}=`));
      const value = found?.slice(fullName.length + 1);
      return value !== undefined && pattern.test(value) ? value : undefined;
    },
  };
}
