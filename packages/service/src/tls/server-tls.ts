import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { watchFiles } from "../watch-files.js";
import { joined, type NamedFile, readAuthorities, readKeyPair, tried } from "./read-certificates.js";

/** What a TLS port shows and whom it trusts, PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Authorities of client certificates. */
  readonly ca?: string;
}

/** The certificates of a port, which may change while it is open. */
export interface ServerTls {
  readonly material: TlsMaterial;
  /** True: connections without a certificate of an authority in `ca` are refused. */
  readonly requireClientCert: boolean;
  /** Calls `changed` with every new set that is usable. */
  watch(changed: (material: TlsMaterial) => void): void;
  close(): void;
}

/** Which files, by the flags that name them. */
export interface ServerTlsFiles {
  readonly cert: NamedFile;
  readonly key: NamedFile;
  readonly clientCa?: NamedFile;
  readonly requireClientCert: boolean;
}

/**
 * Reads the files of a port now and looks every `reloadMs` whether they changed; a set that cannot be used is logged once and the one in use stays.
 * @throws GmqError `invalid_argument` naming every wrong file and what was expected
 */
export function openServerTls(files: ServerTlsFiles, reloadMs: number, logger: Logger): ServerTls {
  let material = readMaterial(files);
  const listeners = new Set<(material: TlsMaterial) => void>();
  const paths = [files.cert, files.key, files.clientCa].flatMap((file) => file?.path ?? []);
  const watch = watchFiles(paths, reloadMs, () => {
    try {
      material = readMaterial(files);
      for (const changed of listeners) changed(material);
      logger.info("certificates were read again", { cert: files.cert.path });
    } catch (error) {
      logger.error("new certificates cannot be used, the old ones stay", { error });
    }
  });
  return {
    get material() {
      return material;
    },
    requireClientCert: files.requireClientCert,
    watch: (changed) => void listeners.add(changed),
    close: watch.close,
  };
}

function readMaterial({ cert, key, clientCa, requireClientCert }: ServerTlsFiles): TlsMaterial {
  if (requireClientCert && clientCa === undefined) {
    throw new GmqError("invalid_argument", "client certificates are asked for, and no authority of them is named", {
      field: "--tls-client-ca",
      limit: "the authorities of client certificates",
    });
  }
  const problems: GmqError[] = [];
  const pair = tried(problems, () => readKeyPair(cert, key));
  const ca = clientCa === undefined ? undefined : tried(problems, () => readAuthorities(clientCa));
  if (pair === undefined || problems.length > 0) throw joined(problems);
  return ca === undefined ? pair : { ...pair, ca };
}
