import { type ContextKey, createContextKey } from "@connectrpc/connect";

/** What the listener knows of a call and Connect does not hand on. */
export interface PeerConnection {
  /** The peer's IP address, "" when unknown. */
  readonly address: string;
  /** Resets the call's stream at once, unsent bytes and all. */
  reset(): void;
}

/** Under this key the listener puts the connection into a call's context values. Default: no address, a reset without effect. */
export const peerConnectionKey: ContextKey<PeerConnection> = createContextKey<PeerConnection>(
  { address: "", reset: () => undefined },
  { description: "gmq peer connection" },
);
