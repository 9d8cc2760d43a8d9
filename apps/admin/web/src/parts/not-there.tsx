import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { problemOf } from "../rpc.js";
import { buttonLook } from "./button.js";
import { PageHeader } from "./page-header.js";

/** What was asked for, or null where the answer is that it is not there. An answer like others, so that it stays while it is asked again. */
export async function orNotThere<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (notThere.has(problemOf(error).code)) return null;
    throw error;
  }
}

const notThere: ReadonlySet<string> = new Set(["topic_not_found", "group_not_found"]);

interface NotThereProps {
  readonly title: string;
  /** The list where it would be, and what that is called. */
  readonly to: "/topics" | "/groups" | "/dead-letters";
  readonly all: string;
}

/** In place of the whole page of something that is not there: nothing can be done to it. Whoever shows this goes on asking. */
export function NotThere({ title, to, all }: NotThereProps): ReactNode {
  return (
    <>
      <PageHeader title={title} />
      <p className="mb-4 max-w-prose text-[13px] text-muted">
        It was deleted, or the address has a slip. If it is made later, this page shows it.
      </p>
      <Link to={to} className={buttonLook("plain")}>
        {all}
      </Link>
    </>
  );
}
