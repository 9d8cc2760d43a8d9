import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { PortalServiceWatchResponseSchema } from "@gmq/protocol/messages";
import { useSyncExternalStore } from "react";
import { applyFrame, emptyLiveState, type LiveState } from "./live-state.js";
import type { WatchFrame } from "./watch-frames.js";
import { keepWatching } from "./watch-stream.js";
import type { TabMessage, WorkerMessage } from "./watch-worker.js";

let state: LiveState = emptyLiveState;
const listeners = new Set<() => void>();

function change(next: LiveState): void {
  state = next;
  for (const listener of listeners) listener();
}

function take(frame: WatchFrame, atMs: number): void {
  // A portal that is newer than this page may say more than the page knows.
  const message = fromJson(PortalServiceWatchResponseSchema, frame as JsonValue, { ignoreUnknownFields: true });
  change(applyFrame(state, message, atMs));
}

/** Begins to watch, through the worker that all tabs share where the browser has one. Called once, when the page starts. */
export function startLive(): void {
  if (typeof SharedWorker === "undefined") watchAlone();
  else watchThroughWorker();
}

function watchThroughWorker(): void {
  const worker = new SharedWorker(new URL("./watch-worker.ts", import.meta.url), { type: "module", name: "gmq-watch" });
  const { port } = worker;
  // The worker could not be loaded, for example because the portal was updated meanwhile.
  worker.addEventListener("error", () => watchAlone(), { once: true });
  port.addEventListener("message", ({ data }: MessageEvent<WorkerMessage>) => {
    if (data.kind === "frame") take(data.frame, data.atMs);
    else change({ ...state, connection: "reconnecting" });
  });
  port.start();
  const say = (message: TabMessage): void => port.postMessage(message);
  const sayVisibility = (): void => say(document.visibilityState === "visible" ? "visible" : "hidden");
  document.addEventListener("visibilitychange", sayVisibility);
  addEventListener("pagehide", () => say("bye"));
  // A page that comes back out of the browser's cache has said goodbye.
  addEventListener("pageshow", (event) => event.persisted && sayVisibility());
  sayVisibility();
}

function watchAlone(): void {
  let watching: AbortController | undefined;
  const decide = (): void => {
    const wanted = document.visibilityState === "visible";
    if (!wanted) {
      watching?.abort();
      watching = undefined;
    } else if (watching === undefined) {
      watching = new AbortController();
      void keepWatching(
        {
          onFrame: (frame) => take(frame, Date.now()),
          onReconnecting: () => change({ ...state, connection: "reconnecting" }),
        },
        watching.signal,
      );
    }
  };
  document.addEventListener("visibilitychange", decide);
  decide();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The live state; the component renders again with every frame, at most a few a second. */
export function useLive(): LiveState {
  return useSyncExternalStore(subscribe, () => state);
}
