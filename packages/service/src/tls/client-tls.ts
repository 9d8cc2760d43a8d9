import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { TlsClientOptions } from "@gmq/transport";
import { watchFiles } from "../watch-files.js";
import { joined, type NamedFile, readAuthorities, readKeyPair, tried } from "./read-certificates.js";

/** What a service goes by when it connects to another; asked for at every new connection. */
export interface ClientTls {
  current(): TlsClientOptions;
  /** The same as one object whose properties are looked up when they are read, for libraries that take no function. */
  readonly live: TlsClientOptions;
  close(): void;
}

/** Which files, by the flags that name them. */
export interface ClientTlsFiles {
  readonly ca?: NamedFile | undefined;
  readonly cert?: NamedFile | undefined;
  readonly key?: NamedFile | undefined;
}

/**
 * Reads the files now and looks every `reloadMs` whether they changed; what cannot be used is logged once and the old stays. Undefined: no file is named.
 * @throws GmqError `invalid_argument` naming every wrong file and what was expected
 */
export function openClientTls(files: ClientTlsFiles, reloadMs: number, logger: Logger): ClientTls | undefined {
  const paths = [files.ca, files.cert, files.key].flatMap((file) => file?.path ?? []);
  if (paths.length === 0) return undefined;
  let options = readOptions(files);
  const watch = watchFiles(paths, reloadMs, () => {
    try {
      options = readOptions(files);
      logger.info("client certificates were read again", { paths });
    } catch (error) {
      logger.error("new client certificates cannot be used, the old ones stay", { error });
    }
  });
  const live = {
    get ca() {
      return options.ca;
    },
    get cert() {
      return options.cert;
    },
    get key() {
      return options.key;
    },
  } as TlsClientOptions;
  return { current: () => options, live, close: watch.close };
}

function readOptions({ ca, cert, key }: ClientTlsFiles): TlsClientOptions {
  const problems: GmqError[] = [];
  const authorities = ca === undefined ? undefined : tried(problems, () => readAuthorities(ca));
  let pair: TlsClientOptions | undefined;
  if (cert !== undefined && key !== undefined) pair = tried(problems, () => readKeyPair(cert, key));
  else if (cert !== undefined || key !== undefined) {
    const { flag, path } = (cert ?? key) as NamedFile;
    problems.push(
      new GmqError("invalid_argument", `${flag} ${path}: a certificate and its key belong together`, { field: flag }),
    );
  }
  if (problems.length > 0) throw joined(problems);
  return { ...(authorities === undefined ? {} : { ca: authorities }), ...pair };
}
