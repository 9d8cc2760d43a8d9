import type { ReactNode } from "react";
import { Button } from "../parts/button.js";
import { logOut, useAccess } from "./access-store.js";

/** Name and role in the header, and the way out; nothing where nobody has to log in. */
export function WhoAmI(): ReactNode {
  const access = useAccess();
  if (access.kind !== "in") return null;
  return (
    <span className="flex items-center gap-1.5 text-[13px]">
      <span className="max-w-32 truncate" title={`${access.name}, ${access.role}`}>
        {access.name} <span className="text-muted">{access.role}</span>
      </span>
      <Button look="quiet" onClick={() => void logOut()}>
        Log out
      </Button>
    </span>
  );
}
