/** What brokers and operators see; `scripts/release version` writes it anew. */
export const clientVersion = "@gmq/client 0.1.0";
