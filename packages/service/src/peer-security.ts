/** The settings by which a service calls another one: whom it trusts, what it shows, the token it says. */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { TlsClientOptions } from "@gmq/transport";
import { z } from "zod";
import { readSettingFile } from "./read-file.js";
import { openClientTls } from "./tls/client-tls.js";
import { watchFiles } from "./watch-files.js";

type PeerKey<Name extends string> = `${Name}Ca` | `${Name}Cert` | `${Name}Key` | `${Name}Token` | `${Name}TokenFile`;

const text = z.string().min(1).optional();

/** Fields for calling the peer of this name, for example `storage`: `storageCa`, `storageCert`, `storageKey`, `storageToken`, `storageTokenFile`. */
export function peerFields<Name extends string>(name: Name, peer: string) {
  return {
    [`${name}Ca`]: text.describe(`file of the authorities to trust for ${peer}, PEM; default: the system's`),
    [`${name}Cert`]: text.describe(`file of the certificate to show to ${peer}, PEM`),
    [`${name}Key`]: text.describe("file of that certificate's private key, PEM"),
    [`${name}Token`]: text.describe(`bearer token for ${peer}`),
    [`${name}TokenFile`]: text.describe(`file that holds the token for ${peer}, read again when it changes`),
  } as Record<PeerKey<Name>, typeof text>;
}

/** How they are named on the command line. */
export function peerFlags<Name extends string>(name: Name) {
  const placeholder = "file";
  return {
    [`${name}Ca`]: { placeholder },
    [`${name}Cert`]: { placeholder },
    [`${name}Key`]: { placeholder },
    [`${name}Token`]: { placeholder: "token", secret: true },
    [`${name}TokenFile`]: { placeholder },
  } as Record<PeerKey<Name>, { readonly placeholder: string; readonly secret?: boolean }>;
}

/** The values of `peerFields`. */
export type PeerConfig<Name extends string> = { readonly [Key in PeerKey<Name>]?: string | undefined };

/** How to call the peer: both are asked at each new connection. */
export interface Peer {
  readonly tls: (() => TlsClientOptions) | undefined;
  /** The same as one object whose properties are looked up when they are read. */
  readonly tlsLive: TlsClientOptions | undefined;
  readonly token: (() => string) | undefined;
  close(): void;
}

const tokenExpected = "a token of visible characters in one line";

/** A secret that is given itself, or by a file that is read again when it changes. */
export interface Secret {
  current(): string;
  close(): void;
}

/** Reads the files now and looks every `reloadMs` whether they changed. @throws GmqError `invalid_argument` naming the wrong file or setting */
export function openPeer<Name extends string>(
  name: Name,
  config: PeerConfig<Name>,
  reloadMs: number,
  logger: Logger,
): Peer {
  const {
    [`${name}Ca`]: ca,
    [`${name}Cert`]: cert,
    [`${name}Key`]: key,
  } = config as Record<string, string | undefined>;
  const { [`${name}Token`]: token, [`${name}TokenFile`]: tokenFile } = config as Record<string, string | undefined>;
  const named = (part: string, path: string | undefined) =>
    path === undefined ? undefined : { flag: `--${name}-${part}`, path };
  const tls = openClientTls(
    { ca: named("ca", ca), cert: named("cert", cert), key: named("key", key) },
    reloadMs,
    logger,
  );
  try {
    const tokens = openSecret(`--${name}-token`, token, tokenFile, reloadMs, logger);
    return {
      tls: tls?.current,
      tlsLive: tls?.live,
      token: tokens?.current,
      close() {
        tls?.close();
        tokens?.close();
      },
    };
  } catch (error) {
    tls?.close();
    throw error;
  }
}

/**
 * Opens the secret of `--<flag>` or `--<flag>-file`; undefined: neither is given.
 * @throws GmqError `invalid_argument` naming the setting, when both are given or what is given cannot be one
 */
export function openSecret(
  flag: string,
  token: string | undefined,
  path: string | undefined,
  reloadMs: number,
  logger: Logger,
): Secret | undefined {
  if (token !== undefined && path !== undefined) {
    throw new GmqError("invalid_argument", `${flag} and ${flag}-file are given`, { field: flag, limit: "one of them" });
  }
  if (token !== undefined) {
    const checked = check(flag, token);
    return { current: () => checked, close: () => undefined };
  }
  if (path === undefined) return undefined;
  const read = (): string => check(`${flag}-file ${path}`, readSettingFile(`${flag}-file`, path, tokenExpected).trim());
  let value = read();
  const watch = watchFiles([path], reloadMs, () => {
    try {
      value = read();
      logger.info("a token was read again", { path });
    } catch (error) {
      logger.error("the new token cannot be used, the old one stays", { error });
    }
  });
  return { current: () => value, close: watch.close };
}

function check(field: string, token: string): string {
  if (/^[\x21-\x7e]{1,8192}$/.test(token)) return token;
  throw new GmqError("invalid_argument", `${field}: expected ${tokenExpected}`, { field, limit: tokenExpected });
}
