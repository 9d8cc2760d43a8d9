/**
 * The shared worker of all tabs: one stream for the whole browser, because a browser opens six connections to an origin at most and a stream holds one.
 * It watches while some tab is visible.
 */
import { createWatchMemory, type WatchFrame } from "./watch-frames.js";
import { keepWatching } from "./watch-stream.js";

/** What a tab tells the worker. */
export type TabMessage = "visible" | "hidden" | "bye";

/** What the worker tells a tab. */
export type WorkerMessage =
  | { readonly kind: "frame"; readonly frame: WatchFrame; readonly atMs: number }
  | { readonly kind: "reconnecting" };

const hiddenGraceMs = 5_000;

const ports = new Map<MessagePort, boolean>();
const memory = createWatchMemory();
let lastFrameAtMs = 0;
let reconnecting = false;
let watching: AbortController | undefined;
let stopping: ReturnType<typeof setTimeout> | undefined;

function tell(message: WorkerMessage): void {
  for (const port of ports.keys()) port.postMessage(message);
}

function decide(): void {
  const wanted = [...ports.values()].includes(true);
  if (wanted) {
    clearTimeout(stopping);
    stopping = undefined;
    if (watching === undefined) begin();
  } else if (watching !== undefined && stopping === undefined) {
    stopping = setTimeout(() => {
      watching?.abort();
      watching = undefined;
      stopping = undefined;
    }, hiddenGraceMs);
  }
}

function begin(): void {
  watching = new AbortController();
  void keepWatching(
    {
      onFrame(frame) {
        lastFrameAtMs = Date.now();
        reconnecting = false;
        memory.note(frame);
        tell({ kind: "frame", frame, atMs: lastFrameAtMs });
      },
      onReconnecting() {
        reconnecting = true;
        tell({ kind: "reconnecting" });
      },
    },
    watching.signal,
  );
}

/** Brings a tab that came later to where the others are. */
function welcome(port: MessagePort): void {
  const say = (message: WorkerMessage): void => port.postMessage(message);
  for (const frame of memory.frames()) say({ kind: "frame", frame, atMs: lastFrameAtMs });
  if (reconnecting) say({ kind: "reconnecting" });
}

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (port === undefined) return;
  port.addEventListener("message", ({ data }: MessageEvent<TabMessage>) => {
    if (data === "bye") ports.delete(port);
    else {
      if (!ports.has(port)) welcome(port);
      ports.set(port, data === "visible");
    }
    decide();
  });
  port.start();
});
