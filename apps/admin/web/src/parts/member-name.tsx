import type { ReactNode } from "react";

/** Enough of a member's id to tell it from those beside it. */
function shortId(id: string): string {
  return /^member-([0-9a-f]{8})-/.exec(id)?.[1] ?? id;
}

/** A group's member in a line of text: as it calls itself, and its id. */
export function memberText(id: string, client: string): string {
  return client === "" ? id : `${client} (${shortId(id)})`;
}

/** A group's member in a table. */
export function MemberName({ id, client }: { readonly id: string; readonly client: string }): ReactNode {
  return (
    <span title={id} className="whitespace-nowrap">
      {client !== "" && <span className="mr-2">{client}</span>}
      <span className="font-mono text-xs text-muted">{client === "" ? id : shortId(id)}</span>
    </span>
  );
}
