import type { PortalJob } from "@gmq/protocol/messages";
import { portal } from "../rpc.js";

/** Fetches the file of an export, piece by piece, and gives it to the browser. */
export async function downloadFile({ jobId, fileName }: PortalJob, signal?: AbortSignal): Promise<void> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let offset = 0n; offset >= 0n; ) {
    const { piece, nextOffset } = await portal.readJobFile({ jobId, offset }, signal === undefined ? {} : { signal });
    pieces.push(new Uint8Array(piece));
    offset = nextOffset;
  }
  saveAs(new Blob(pieces, { type: "application/octet-stream" }), fileName);
}

/** Hands a file to the browser under a name. */
export function saveAs(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
