import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

const look = "font-medium text-ink no-underline hover:text-accent hover:underline underline-offset-2";

/** What is wrong, leading to where it can be put right. */
export function SubjectLink({ subject, text }: { readonly subject: string; readonly text: string }): ReactNode {
  if (subject.startsWith("group ")) {
    return (
      <Link to="/groups/$group" params={{ group: subject.slice("group ".length) }} className={look}>
        {text}
      </Link>
    );
  }
  return (
    <Link to={subject === "dead letters" ? "/dead-letters" : "/"} className={look}>
      {text}
    </Link>
  );
}
