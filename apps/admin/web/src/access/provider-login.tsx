import type { ReactNode } from "react";
import { buttonLook } from "../parts/button.js";
import { loginProblem } from "./login-problem.js";

/** The way to the login provider and, after one that came to nothing, why. `again`: in another tab, so that this page stays. */
export function ProviderLogin({ label, again }: { readonly label: string; readonly again: boolean }): ReactNode {
  const problem = loginProblem();
  const { pathname, search } = window.location;
  const page = again ? "/" : pathname + search;
  return (
    <>
      {problem !== undefined && !again && (
        <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-[13px] text-bad">
          {problem}
        </p>
      )}
      <a
        className={buttonLook("primary")}
        href={`/access/oidc/start?page=${encodeURIComponent(page)}`}
        {...(again ? { target: "_blank", rel: "noopener" } : {})}
      >
        Log in with {label}
      </a>
      {again && <p className="text-[13px] text-muted">It opens in another tab; this one goes on once you are in.</p>}
    </>
  );
}
