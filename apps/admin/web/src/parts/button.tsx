import type { ComponentProps, ReactNode } from "react";

type Look = "primary" | "plain" | "quiet" | "danger";

const looks: Readonly<Record<Look, string>> = {
  primary: "bg-accent-fill text-on-accent border-transparent hover:brightness-110",
  plain: "bg-panel text-ink border-line hover:border-strong-line",
  quiet: "bg-transparent text-muted border-transparent hover:text-ink hover:bg-raised",
  danger: "bg-bad-fill text-white border-transparent hover:brightness-110",
};

/** The shape of everything that looks like a button, links too. */
export function buttonLook(look: Look = "plain"): string {
  return `inline-flex min-h-8 items-center justify-center gap-1.5 rounded-md border px-3 py-1 text-[13px] font-medium whitespace-nowrap no-underline motion-safe:transition-colors disabled:opacity-50 disabled:cursor-not-allowed ${looks[look]}`;
}

/** A button; `type="button"` unless it submits. */
export function Button({
  look,
  className = "",
  ...rest
}: ComponentProps<"button"> & { readonly look?: Look }): ReactNode {
  return <button type="button" {...rest} className={`${buttonLook(look)} ${className}`} />;
}
