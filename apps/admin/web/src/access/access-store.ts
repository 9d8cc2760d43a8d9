/** Who this browser is to the portal. */
import { useSyncExternalStore } from "react";

export type Role = "viewer" | "operator" | "admin";

/** What the portal says of this browser; `out`: nobody is logged in, and somebody has to be. */
export type AccessState =
  | { readonly kind: "unknown" }
  | { readonly kind: "off" }
  | { readonly kind: "out" }
  | { readonly kind: "in"; readonly name: string; readonly role: Role };

/** How somebody may log in. */
export interface LoginWays {
  /** By the portal's own access file: a password or a token. */
  readonly password: boolean;
  /** By a provider, under this name. */
  readonly provider?: string;
}

let state: AccessState = { kind: "unknown" };
let ways: LoginWays = { password: true };
const listeners = new Set<() => void>();
/** Tabs tell each other of a login: with a provider it comes about in another tab. */
const otherTabs = new BroadcastChannel("gmq-access");
otherTabs.addEventListener("message", () => {
  if (state.kind === "out") void askWhoWeAre().catch((error: unknown) => console.debug("no answer", error));
});

function change(next: AccessState): void {
  const isNews = next.kind === "in" && state.kind !== "in";
  state = next;
  if (isNews) otherTabs.postMessage("in");
  for (const listener of listeners) listener();
}

/** The custom header: no page of another origin can send it. */
const headers = { "content-type": "application/json", "x-gmq-portal": "1" };
const roles: readonly Role[] = ["viewer", "operator", "admin"];

interface Answer {
  readonly on?: boolean;
  readonly name?: string;
  readonly role?: Role;
  readonly message?: string;
  readonly ways?: LoginWays;
  /** After a logout: where the login provider's session is ended. */
  readonly url?: string;
}

function take({ on, name, role, ways: told }: Answer): void {
  ways = told ?? ways;
  if (on === false) change({ kind: "off" });
  else if (name !== undefined && role !== undefined) change({ kind: "in", name, role });
}

/** Asks who we are. A portal that does not answer is asked again by whoever needs it. */
export async function askWhoWeAre(): Promise<void> {
  const answer = await fetch("/access/me", { headers });
  if (answer.status === 401) {
    ways = ((await answer.json()) as Answer).ways ?? ways;
    change({ kind: "out" });
  } else if (answer.ok) take((await answer.json()) as Answer);
}

/** Logs in. Resolves with what is wrong, undefined when nothing is. */
export async function logIn(credentials: {
  readonly name?: string;
  readonly password?: string;
  readonly token?: string;
}): Promise<string | undefined> {
  try {
    const answer = await fetch("/access/login", { method: "POST", headers, body: JSON.stringify(credentials) });
    const body = (await answer.json()) as Answer;
    if (!answer.ok) return body.message ?? `The portal answered ${answer.status}.`;
    take(body);
    return undefined;
  } catch {
    return "The portal does not answer.";
  }
}

/** Logs out; the next thing to see is the login, or the provider's way out, which leads back to it. */
export async function logOut(): Promise<void> {
  const answer = await fetch("/access/logout", { method: "POST", headers });
  const { url } = answer.ok ? ((await answer.json()) as Answer) : {};
  if (url !== undefined) window.location.assign(url);
  else change({ kind: "out" });
}

/** A call was refused because nobody is logged in: the login is shown above the page, which keeps what was typed. */
export function loggedOut(): void {
  if (state.kind === "in") change({ kind: "out" });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Who we are; renders again when that changes. */
export function useAccess(): AccessState {
  return useSyncExternalStore(subscribe, () => state);
}

/** How somebody may log in, as the portal said when it was asked who we are. */
export function useLoginWays(): LoginWays {
  return useSyncExternalStore(subscribe, () => ways);
}

/** Whether we may do what needs this role. The portal decides; this is for buttons that would only be refused. */
export function useMay(role: Role): boolean {
  const access = useAccess();
  return access.kind !== "in" || roles.indexOf(access.role) >= roles.indexOf(role);
}
