import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

const look = "font-medium text-ink no-underline hover:text-accent hover:underline underline-offset-2";

/** A topic's name, leading to its page. */
export function TopicLink({ topic }: { readonly topic: string }): ReactNode {
  return (
    <Link to="/topics/$topic" params={{ topic }} className={look} title={topic}>
      {topic}
    </Link>
  );
}

/** A group's name, leading to its page. */
export function GroupLink({ group }: { readonly group: string }): ReactNode {
  return (
    <Link to="/groups/$group" params={{ group }} className={look} title={group}>
      {group}
    </Link>
  );
}
