import type { ReactNode } from "react";

/** A titled area of a page. */
export function Panel({
  title,
  note,
  actions,
  children,
  padded = false,
}: {
  readonly title: string;
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
  readonly padded?: boolean;
}): ReactNode {
  return (
    <section className="min-w-0 overflow-hidden rounded-xl border border-line bg-panel">
      <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-line px-4 py-2.5">
        <h2 className="text-[13px] font-semibold">
          {title}
          {note !== undefined && <span className="ml-2 font-normal text-muted">{note}</span>}
        </h2>
        {actions}
      </header>
      <div className={padded ? "p-4" : ""}>{children}</div>
    </section>
  );
}

/** One figure with its name; a link where there is a list behind it. */
export function Figure({
  name,
  value,
  detail,
  tone = "plain",
}: {
  readonly name: string;
  readonly value: ReactNode;
  readonly detail?: ReactNode;
  readonly tone?: "plain" | "good" | "warn" | "bad";
}): ReactNode {
  const tones = { plain: "text-ink", good: "text-good", warn: "text-warn", bad: "text-bad" };
  return (
    <div className="flex min-w-0 flex-col gap-0.5 px-4 py-3.5">
      <span className="text-xs text-muted">{name}</span>
      <span className={`text-[22px] leading-7 font-semibold tracking-tight tabular-nums ${tones[tone]}`}>{value}</span>
      <span className="min-h-[18px] truncate text-xs text-muted">{detail}</span>
    </div>
  );
}

/** A word with a colour; the word alone says it too. */
export function Badge({
  tone = "plain",
  children,
}: {
  readonly tone?: "plain" | "good" | "warn" | "bad" | "accent";
  readonly children: ReactNode;
}): ReactNode {
  const tones = {
    plain: "bg-raised text-ink",
    good: "bg-good-soft text-good",
    warn: "bg-warn-soft text-warn",
    bad: "bg-bad-soft text-bad",
    accent: "bg-accent-soft text-accent",
  };
  return (
    <span
      className={`inline-flex items-center rounded px-1.5 py-0.5 text-xs font-medium whitespace-nowrap ${tones[tone]}`}
    >
      {children}
    </span>
  );
}
