import { afterEach, describe, expect, it } from "vitest";
import { limits } from "./limits.js";
import { agreeOnVersion, checkAgreedVersion } from "./protocol-version.js";

const own = { ...limits };
/** As a build that speaks these. */
function speak(protocolVersionMin: number, protocolVersion: number): void {
  Object.assign(limits, { protocolVersionMin, protocolVersion });
}
afterEach(() => void Object.assign(limits, own));

describe("two peers", () => {
  it.each([
    // own, theirs, agreed
    [[1, 1], [1, 1], 1],
    [[1, 1], [1, 2], 1],
    [[1, 2], [1, 1], 1],
    [[1, 2], [1, 2], 2],
    [[2, 3], [1, 2], 2],
    [[1, 3], [2, 9], 3],
    // Who says no oldest one speaks one version.
    [[1, 2], [0, 1], 1],
    [[1, 2], [0, 2], 2],
  ] as const)("of %j and %j speak %i", ([min, max], [protocolVersionMin, protocolVersion], agreed) => {
    speak(min, max);
    expect(agreeOnVersion({ protocolVersion, protocolVersionMin })).toBe(agreed);
  });

  it.each([
    [[1, 1], [0, 2], "this process does not speak protocol version 2: its peer is newer"],
    [[1, 1], [2, 3], "this process does not speak protocol versions 2 to 3: its peer is newer"],
    [[2, 3], [0, 1], "this process does not speak protocol version 1: its peer is too old"],
    [[1, 1], [0, 0], "this process does not speak protocol version 0: its peer is too old"],
  ] as const)(
    "of %j and %j part, and the error says why",
    ([min, max], [protocolVersionMin, protocolVersion], message) => {
      speak(min, max);
      expect(() => agreeOnVersion({ protocolVersion, protocolVersionMin })).toThrow(
        expect.objectContaining({ code: "unsupported_version", message, limit: `${min} to ${max}` }),
      );
    },
  );

  it("have a range that is one", () => {
    expect(() => agreeOnVersion({ protocolVersion: 1, protocolVersionMin: 2 })).toThrow(
      expect.objectContaining({ code: "invalid_argument", field: "hello.protocol_version_min" }),
    );
  });

  it("take only what was offered", () => {
    speak(2, 3);
    checkAgreedVersion(2);
    checkAgreedVersion(3);
    for (const agreed of [0, 1, 4]) {
      expect(() => checkAgreedVersion(agreed)).toThrow(expect.objectContaining({ code: "unsupported_version" }));
    }
  });
});
