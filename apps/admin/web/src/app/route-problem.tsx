import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { buttonLook } from "../parts/button.js";
import { Empty } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";

/** An address that names no page. */
export function NotFound(): ReactNode {
  return (
    <>
      <PageHeader title="There is no such page" />
      <p className="mb-4 text-[13px] text-muted">The address may be from another version of the portal.</p>
      <Link to="/" className={buttonLook("plain")}>
        To the overview
      </Link>
    </>
  );
}

/** A page that could not be shown: a part of it that could not be loaded, or a defect. */
export function RouteProblem({ error }: { readonly error: unknown }): ReactNode {
  return (
    <div role="alert">
      <Empty title="This page could not be shown">
        <p className="mb-4 font-mono text-xs wrap-anywhere">{error instanceof Error ? error.message : String(error)}</p>
        <button type="button" className={buttonLook("primary")} onClick={() => location.reload()}>
          Load it again
        </button>
      </Empty>
    </div>
  );
}
