import { readFileSync } from "node:fs";
import type { ConnectOptions } from "@gmq/client";
import { GmqError } from "@gmq/protocol";

/** What a broker that asks for it is shown. */
export type Credentials = Pick<ConnectOptions, "auth" | "tls">;

/** Reads the files that the flags name. @throws GmqError `invalid_argument` naming flag, file and what was expected */
export function readCredentials(options: {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
}): Credentials {
  const { tokenFile, ca, cert, certKey: key } = options;
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? "--cert" : "--cert-key";
    throw new GmqError("invalid_argument", `--cert and --cert-key belong together: ${missing} is missing`, {
      field: missing,
    });
  }
  const token =
    tokenFile === undefined ? options.token : read("--token-file", tokenFile, "a file that holds a token").trim();
  if (tokenFile !== undefined && token === "") {
    throw new GmqError("invalid_argument", `--token-file ${tokenFile}: there is no token in it`, {
      field: "--token-file",
      limit: "a file that holds a token",
    });
  }
  const tls = {
    ...(ca === undefined ? {} : { ca: read("--ca", ca, "certificates of authorities in PEM") }),
    ...(cert === undefined ? {} : { cert: read("--cert", cert, "a certificate chain in PEM") }),
    ...(key === undefined ? {} : { key: read("--cert-key", key, "the certificate's private key in PEM") }),
  };
  return {
    ...(token === undefined || token === "" ? {} : { auth: { token: () => token } }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}

function read(flag: string, path: string, expected: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    const reason = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new GmqError("invalid_argument", `${flag} ${path}: ${reason}; expected ${expected}`, {
      field: flag,
      limit: expected,
      cause,
    });
  }
}
