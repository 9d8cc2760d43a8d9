import { readJsonStream } from "./json-stream.js";
import type { WatchFrame } from "./watch-frames.js";

/** What the stream tells whoever runs it. */
export interface WatchListener {
  onFrame(frame: WatchFrame): void;
  onReconnecting(): void;
}

const path = "/gmq.v1.PortalService/Watch";
const silenceMsMax = 12_000;
const backoffMsMin = 500;
const backoffMsMax = 5_000;

/** Keeps one watch stream open until the signal, opening it again whenever it ends or falls silent. */
export async function keepWatching(listener: WatchListener, signal: AbortSignal): Promise<void> {
  let backoffMs = backoffMsMin;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const end = (): void => attempt.abort();
    signal.addEventListener("abort", end, { once: true });
    let silence = setTimeout(end, silenceMsMax);
    try {
      for await (const frame of readJsonStream(globalThis.location.origin + path, attempt.signal)) {
        clearTimeout(silence);
        silence = setTimeout(end, silenceMsMax);
        backoffMs = backoffMsMin;
        listener.onFrame(frame as WatchFrame);
      }
    } catch (error) {
      // However it ended it is opened again; the page shows that it is.
      if (!signal.aborted) console.debug("watch ended", error);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
    }
    if (signal.aborted) return;
    listener.onReconnecting();
    await pause(backoffMs * (0.75 + Math.random() / 2), signal);
    backoffMs = Math.min(backoffMsMax, backoffMs * 2);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
