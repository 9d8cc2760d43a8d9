import { expect, it } from "vitest";
import { checkServerInfo } from "./server-version.js";

// First lines of INFO as these servers answered it.
const answers = {
  "Redis 7.0.15": "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\n",
  "Redis 8.0.2": "# Server\r\nredis_version:8.0.2\r\nredis_git_sha1:00000000\r\n",
  "Valkey 8.0.1": "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n",
};

it.each(Object.entries(answers))("takes %s", (_name, info) => {
  expect(() => checkServerInfo(info)).not.toThrow();
});

it("refuses a Redis that cannot store records, and says what is needed", () => {
  expect(() => checkServerInfo("# Server\r\nredis_version:6.0.16\r\nredis_git_sha1:00000000\r\n")).toThrow(
    expect.objectContaining({
      code: "unsupported_version",
      message: "Redis 6.0.16 is too old: GMQ needs 6.2 or newer",
      field: "redis_version",
      limit: "6.2",
    }),
  );
});

it.each(["6.2.0", "6.10.1", "7.0.0", "255.255.255", "", "unknown"])("lets version '%s' be", (version) => {
  expect(() => checkServerInfo(`redis_version:${version}`)).not.toThrow();
});

it.each(["2.8.19", "5.0.14", "6.0.20", "6.1.9"])("refuses version %s", (version) => {
  expect(() => checkServerInfo(`redis_version:${version}`)).toThrow("too old");
});
