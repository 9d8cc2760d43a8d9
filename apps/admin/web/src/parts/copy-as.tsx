import { create, toJson } from "@bufbuild/protobuf";
import { PortalServiceStartJobRequestSchema } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import type { JobRequest } from "../jobs/use-job.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { ScrollBox } from "./scroll-box.js";
import { say } from "./toasts.js";

/** The same thing from a terminal. */
export interface Commands {
  readonly gmq?: string | undefined;
  readonly curl?: string | undefined;
}

/** A call of the portal as a curl command; 64-bit numbers are texts, as protobuf's JSON has them. */
export function curlOf(method: string, request: unknown): string {
  return `curl -H 'content-type: application/json' ${quote(`${location.origin}/gmq.v1.${method}`)} \\\n  -d ${quote(JSON.stringify(request, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value)))}`;
}

/** The same for a job. */
export function CopyJob({ request, gmq }: { readonly request: JobRequest; readonly gmq?: string }): ReactNode {
  const asked = toJson(PortalServiceStartJobRequestSchema, create(PortalServiceStartJobRequestSchema, request));
  return <CopyAs gmq={gmq} curl={curlOf("PortalService/StartJob", asked)} />;
}

/** A word as a shell takes it. */
export function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A button that shows how to do what the page shows from a terminal. */
export function CopyAs({ gmq, curl }: Commands): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button look="quiet" onClick={() => setOpen(true)}>
        <span aria-hidden="true" className="font-mono">
          &gt;_
        </span>
        CLI
      </Button>
      {open && (
        <Dialog title="From a terminal" onClose={() => setOpen(false)} wide>
          <div className="flex flex-col gap-4">
            {gmq !== undefined && <Snippet name="gmq" text={gmq} />}
            {curl !== undefined && <Snippet name="curl" text={curl} />}
          </div>
        </Dialog>
      )}
    </>
  );
}

/** A text with a button that copies it. */
export function Snippet({ name, text }: { readonly name: string; readonly text: string }): ReactNode {
  return (
    <div className="rounded-lg border border-line">
      <div className="flex items-center justify-between border-b border-line px-3 py-1">
        <span className="text-xs font-medium text-muted">{name}</span>
        <CopyButton text={text} what={name} />
      </div>
      <ScrollBox label={`Command of ${name}`} className="px-3 py-2.5">
        <pre className="m-0 font-mono text-xs">{text}</pre>
      </ScrollBox>
    </div>
  );
}

/** Copies a text. On a page without HTTPS browsers offer no clipboard; then it says so, and the text is there to be marked. */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): ReactNode {
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      say(`Copied ${what}`);
    } catch (error) {
      console.debug("copy refused", error);
      say("The browser does not let this page copy: mark the text instead");
    }
  }
  return (
    <Button look="quiet" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      Copy
    </Button>
  );
}
