/**
 * Which version two peers speak: who opens says the newest and the oldest that he knows, who answers takes the newest that both know. So peers of two versions work
 * side by side while they are replaced one by one, in either order.
 */
import { GmqError } from "./errors.js";
import { limits } from "./limits.js";

/** What a hello says. */
export interface SpokenVersions {
  readonly protocolVersion: number;
  /** 0: the same; peers of before it was there say so. */
  readonly protocolVersionMin: number;
}

/** What this build says of itself. Frames of a version go only to peers with which it was agreed on. */
export function ownVersions(): SpokenVersions {
  return { protocolVersion: limits.protocolVersion, protocolVersionMin: limits.protocolVersionMin };
}

/**
 * The newest version that both know, for who answers a hello.
 * @throws GmqError `unsupported_version` naming both ranges when there is none, `invalid_argument` for a range that is none
 */
export function agreeOnVersion({ protocolVersion: newest, protocolVersionMin }: SpokenVersions): number {
  const oldest = protocolVersionMin === 0 ? newest : protocolVersionMin;
  const limit = `${limits.protocolVersionMin} to ${limits.protocolVersion}`;
  if (oldest > newest) {
    throw new GmqError("invalid_argument", `protocol versions ${oldest} to ${newest} are none`, {
      field: "hello.protocol_version_min",
      limit: `at most ${newest}`,
    });
  }
  const agreed = Math.min(newest, limits.protocolVersion);
  if (agreed < oldest || agreed < limits.protocolVersionMin) {
    const asked = oldest === newest ? `version ${newest}` : `versions ${oldest} to ${newest}`;
    const who = newest < limits.protocolVersionMin ? "its peer is too old" : "its peer is newer";
    throw new GmqError("unsupported_version", `this process does not speak protocol ${asked}: ${who}`, {
      field: "hello.protocol_version",
      limit,
    });
  }
  return agreed;
}

/** Checks what the other side took, for who said hello. @throws GmqError `unsupported_version` for one that was not offered */
export function checkAgreedVersion(agreed: number): void {
  if (agreed >= limits.protocolVersionMin && agreed <= limits.protocolVersion) return;
  throw new GmqError("unsupported_version", `the peer took protocol version ${agreed}, which was not offered`, {
    field: "welcome.protocol_version",
    limit: `${limits.protocolVersionMin} to ${limits.protocolVersion}`,
  });
}
