import { type ContextKey, createContextKey } from "@connectrpc/connect";
import { anybody, type Caller } from "../caller.js";

/** What the listener knows of a call and Connect does not hand on. */
export interface PeerConnection {
  /** The peer's IP address, "" when unknown. */
  readonly address: string;
  /** Who calls and what it may do. */
  readonly caller: Caller;
  /** Resets the call's stream at once, unsent bytes and all. */
  reset(): void;
}

/** Under this key the listener puts the connection into a call's context values. Default: no address, anybody, a reset without effect. */
export const peerConnectionKey: ContextKey<PeerConnection> = createContextKey<PeerConnection>(
  { address: "", caller: anybody, reset: () => undefined },
  { description: "gmq peer connection" },
);
