import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { WhoAmI } from "../access/who-am-i.js";
import type { LiveState } from "../live/live-state.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Select } from "../parts/field.js";
import { Freshness } from "../parts/freshness.js";
import { Badge } from "../parts/panel.js";
import { Toasts } from "../parts/toasts.js";
import { type MainPath, shortcuts, useShortcuts } from "./shortcuts.js";
import { currentTheme, setTheme, type Theme } from "./theme.js";

const CommandPalette = lazy(async () => ({ default: (await import("./command-palette.js")).CommandPalette }));

/** What is around every page. */
export function Shell(): ReactNode {
  const live = useLive();
  const navigate = useNavigate();
  const [open, setOpen] = useState<"palette" | "help">();
  const acts = useMemo(
    () => ({
      openPalette: () => setOpen("palette"),
      openHelp: () => setOpen("help"),
      goTo: (to: MainPath) => void navigate({ to }),
    }),
    [navigate],
  );
  useShortcuts(acts);
  const { facts } = live;

  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:m-2 focus:rounded focus:bg-panel focus:p-2"
      >
        Skip to content
      </a>
      {facts !== undefined && facts.environment !== "" && (
        <div aria-hidden="true" className={`h-1 ${environmentFill[facts.environmentColor] ?? "bg-strong-line"}`} />
      )}
      <header className="sticky top-0 z-30 border-b border-line bg-panel/95 backdrop-blur">
        <div className="mx-auto flex max-w-[1400px] flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2 sm:gap-x-5 sm:px-6">
          <Link
            to="/"
            className="flex items-center gap-2 text-[15px] font-semibold tracking-tight text-ink no-underline"
          >
            <img src="/icon.svg" alt="" className="size-6" />
            <span className="max-sm:sr-only">GMQ</span>
          </Link>
          {facts !== undefined && facts.environment !== "" && (
            <span className="inline-flex max-w-24 items-center sm:max-w-40 gap-1.5 truncate rounded-md border border-line px-2 py-0.5 text-xs font-medium">
              <span
                aria-hidden="true"
                className={`size-2 shrink-0 rounded-full ${environmentFill[facts.environmentColor] ?? "bg-strong-line"}`}
              />
              <span className="truncate">{facts.environment}</span>
            </span>
          )}
          {facts?.readOnly === true && <Badge tone="warn">read-only</Badge>}
          <MainNav alertCount={live.alertCount} />
          <div className="ml-auto flex items-center gap-2">
            {live.activeJobs.length > 0 && <RunningJobs jobs={live.activeJobs} />}
            <Freshness live={live} />
            <WhoAmI />
            <Button look="plain" className="text-muted" onClick={acts.openPalette}>
              Find <kbd className="rounded bg-raised px-1 font-mono text-[11px] max-sm:hidden">Ctrl K</kbd>
            </Button>
            <Button look="quiet" aria-label="Help" className="w-8 px-0" onClick={acts.openHelp}>
              ?
            </Button>
          </div>
        </div>
      </header>
      <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[1400px] flex-1 px-4 py-5 outline-none sm:px-6">
        <Outlet />
      </main>
      <Toasts />
      {open === "palette" && (
        <Suspense>
          <CommandPalette onClose={() => setOpen(undefined)} />
        </Suspense>
      )}
      {open === "help" && <Help version={facts?.version} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

/** The pages. Where they do not fit beside each other, the one that is open is scrolled to. */
function MainNav({ alertCount }: { readonly alertCount: number }): ReactNode {
  const nav = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address says which page is open, the count how wide what stands before it is.
  useEffect(() => {
    const open = nav.current?.querySelector<HTMLElement>("[aria-current=page]");
    if (nav.current === null || open === null || open === undefined) return;
    nav.current.scrollLeft = open.offsetLeft - (nav.current.clientWidth - open.offsetWidth) / 2;
  }, [pathname, alertCount]);
  return (
    <nav
      ref={nav}
      aria-label="Main"
      className="relative order-last flex w-full gap-1 overflow-x-auto md:order-none md:w-auto"
    >
      <NavLink to="/" name="Overview" />
      <NavLink to="/topics" name="Topics" />
      <NavLink to="/groups" name="Groups" />
      <NavLink to="/dead-letters" name="Dead letters" />
      <NavLink to="/jobs" name="Jobs" />
      <NavLink to="/alerts" name="Alerts" count={alertCount} />
      <NavLink to="/audit" name="Audit" />
      <NavLink to="/access" name="Access" />
    </nav>
  );
}

/** That something goes on, wherever one is. Said once when it begins and when it ends, not with every step. */
function RunningJobs({ jobs }: { readonly jobs: LiveState["activeJobs"] }): ReactNode {
  const [only] = jobs;
  const one = jobs.length === 1 && only !== undefined ? only : undefined;
  const share =
    one === undefined || one.total <= 0n
      ? ""
      : ` ${Math.floor((Number(one.done + one.skipped + one.failed) * 100) / Number(one.total))}%`;
  return (
    <Link
      to={one === undefined ? "/jobs" : "/jobs/$job"}
      params={{ job: one?.jobId ?? "" }}
      title={jobs.map(({ title }) => title).join(", ")}
      className="inline-flex min-h-6 items-center gap-1.5 rounded-full bg-accent-soft px-2.5 py-0.5 text-xs font-medium text-accent no-underline tabular-nums"
    >
      <span aria-hidden="true" className="size-1.5 rounded-full bg-accent motion-safe:animate-pulse" />
      {jobs.length === 1 ? "1 job" : `${jobs.length} jobs`}
      <span aria-hidden="true">{share}</span>
    </Link>
  );
}

/** `count`: of what waits there; nothing is shown for none. */
function NavLink({
  to,
  name,
  count = 0,
}: {
  readonly to: MainPath;
  readonly name: string;
  readonly count?: number;
}): ReactNode {
  return (
    <Link
      to={to}
      activeOptions={{ exact: to === "/", includeSearch: false }}
      className="rounded-md px-2.5 py-1 text-[13px] whitespace-nowrap max-sm:px-1.5 max-sm:text-xs font-medium text-muted no-underline hover:bg-raised hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:text-accent"
    >
      {name}
      {count > 0 && (
        <span className="ml-1 rounded-full bg-bad-soft px-1.5 text-xs text-bad tabular-nums">
          <span className="sr-only"> </span>
          {count}
          <span className="sr-only"> firing</span>
        </span>
      )}
    </Link>
  );
}

function Help({ version, onClose }: { readonly version: string | undefined; readonly onClose: () => void }): ReactNode {
  const [theme, choose] = useState(currentTheme);
  return (
    <Dialog title="Help" onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[13px]">
        {shortcuts.map(([keys, act]) => (
          <div key={keys} className="contents">
            <dt>
              <kbd className="rounded border border-line bg-raised px-1.5 py-0.5 font-mono text-xs">{keys}</kbd>
            </dt>
            <dd className="m-0">{act}</dd>
          </div>
        ))}
      </dl>
      <div className="mt-5 border-t border-line pt-4">
        <Field label="Colours">
          {(ids) => (
            <Select<Theme>
              {...ids}
              options={[
                ["system", "as the system"],
                ["light", "light"],
                ["dark", "dark"],
              ]}
              value={theme}
              onChange={(value) => {
                setTheme(value);
                choose(value);
              }}
            />
          )}
        </Field>
      </div>
      <p className="mt-4 text-xs text-muted">GMQ portal {version ?? ""}</p>
    </Dialog>
  );
}

const environmentFill: Readonly<Record<string, string>> = {
  gray: "bg-strong-line",
  blue: "bg-blue-600",
  green: "bg-green-600",
  amber: "bg-amber-500",
  red: "bg-red-600",
  violet: "bg-violet-600",
};
