import { type ReactNode, useEffect } from "react";

/** A page's title, what it is part of, and its acts. Sets the window's title too. */
export function PageHeader({
  title,
  above,
  note,
  children,
}: {
  readonly title: string;
  readonly above?: ReactNode;
  readonly note?: ReactNode;
  readonly children?: ReactNode;
}): ReactNode {
  useEffect(() => {
    document.title = `${title} · GMQ`;
  }, [title]);
  return (
    <div className="mb-5 flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        {above !== undefined && <div className="mb-0.5 text-xs text-muted">{above}</div>}
        <h1 className="text-xl font-semibold tracking-tight wrap-anywhere">
          {title}{" "}
          {note !== undefined && (
            <span className="ml-2 text-[13px] font-normal tracking-normal text-muted">{note}</span>
          )}
        </h1>
      </div>
      {children !== undefined && <div className="flex flex-wrap items-center gap-2">{children}</div>}
    </div>
  );
}
