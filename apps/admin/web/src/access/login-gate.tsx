import { type ReactNode, useEffect, useState } from "react";
import { startLive } from "../live/live-store.js";
import { Dialog } from "../parts/dialog.js";
import { Loading } from "../parts/notice.js";
import { askWhoWeAre, useAccess } from "./access-store.js";
import { LoginForm } from "./login-form.js";

const askAgainMs = 2_000;

/** Shows the pages to whoever is logged in. When a login ends while they are open they stay as they are, with the login above them. */
export function LoginGate({ children }: { readonly children: ReactNode }): ReactNode {
  const access = useAccess();
  const [opened, setOpened] = useState(false);
  const isIn = access.kind === "in" || access.kind === "off";

  useEffect(() => {
    if (access.kind !== "unknown") return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const ask = (): void => {
      askWhoWeAre().catch((error: unknown) => {
        console.debug("the portal does not say who we are", error);
        if (!over) timer = setTimeout(ask, askAgainMs);
      });
    };
    ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [access.kind]);

  useEffect(() => {
    if (!isIn || opened) return;
    startLive();
    setOpened(true);
  }, [isIn, opened]);

  if (opened) {
    return (
      <>
        {children}
        {access.kind === "out" && (
          <Dialog title="Log in again" onClose={stay}>
            <p className="mb-4 text-[13px] text-muted">Your login is over. What you typed is still there.</p>
            <LoginForm again />
          </Dialog>
        )}
      </>
    );
  }
  return (
    <main className="mx-auto mt-[12vh] w-[calc(100vw-2rem)] max-w-sm rounded-xl border border-line bg-panel p-6 shadow-xl">
      <h1 className="mb-5 flex items-center gap-2 text-base font-semibold">
        <img src="/icon.svg" alt="" className="size-6" />
        GMQ portal
      </h1>
      {access.kind === "out" ? <LoginForm /> : <Loading what="the portal" />}
    </main>
  );
}

/** Nothing behind the dialog works without a login: it stays. */
function stay(): void {}
