/** The settings that make a port safe, the same for every deployable, and what they open. */
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { z } from "zod";
import type { Authenticate } from "./admit.js";
import { guardMetrics } from "./metrics-access.js";
import { openSecret, type Secret } from "./peer-security.js";
import type { PlainHttp } from "./plain-http.js";
import { type Address, parseAddress } from "./settings.js";
import { openServerTls, type ServerTls } from "./tls/server-tls.js";

const file = z.string().min(1);

/** Fields of every port. */
export const portFields = {
  tlsCert: file.optional().describe("file of the certificate chain, PEM: the port speaks TLS"),
  tlsKey: file.optional().describe("file of the certificate's private key, PEM"),
  tlsClientCa: file.optional().describe("file of the authorities of client certificates, PEM: clients may show one"),
  tlsRequireClientCert: z.boolean().default(false).describe("refuse connections without a client certificate"),
  metricsToken: z.string().min(1).optional().describe("bearer token for /metrics; default: everybody may read it"),
  metricsTokenFile: file.optional().describe("file that holds the token for /metrics, read again when it changes"),
  reloadMs: z
    .number()
    .int()
    .min(100)
    .max(3_600_000)
    .default(5_000)
    .describe("ms between looks whether certificates, tokens or access files changed, 100 to 3600000"),
  refuseUnsafe: z
    .boolean()
    .default(false)
    .describe(
      "do not start where everybody may call or read metrics from other machines, or tokens travel in the clear",
    ),
};

/** How they are named on the command line. */
export const portFlags = {
  tlsCert: { placeholder: "file" },
  tlsKey: { placeholder: "file" },
  tlsClientCa: { placeholder: "file" },
  metricsToken: { placeholder: "token", secret: true },
  metricsTokenFile: { placeholder: "file" },
  reloadMs: { placeholder: "ms" },
} as const;

/** The values of `portFields`; absent ones are as if they had not been given. */
export interface PortConfig {
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsClientCa?: string | undefined;
  readonly tlsRequireClientCert?: boolean;
  readonly metricsToken?: string | undefined;
  readonly metricsTokenFile?: string | undefined;
  readonly reloadMs?: number;
  readonly refuseUnsafe?: boolean;
}

/** What `listen` needs of it, and who ends the looks at files. */
export interface PortSecurity {
  readonly tls: ServerTls | undefined;
  readonly authenticate: Authenticate | undefined;
  /** The page of metrics, for who may read it. */
  readonly guardMetrics: (page: PlainHttp) => PlainHttp;
  close(): void;
}

/**
 * Opens the certificates of a port and judges whether it is safe, before anything listens.
 * @param what the port in words, for example "the broker"
 * @param authenticate undefined: everybody may call
 * @throws GmqError `invalid_argument` naming each wrong file, or with `refuseUnsafe` what is not safe
 */
export function openPort(
  what: string,
  address: string,
  config: PortConfig,
  authenticate: Authenticate | undefined,
  logger: Logger,
): PortSecurity {
  const { tlsCert, tlsKey, tlsClientCa, tlsRequireClientCert = false, reloadMs = 5_000 } = config;
  const tls = openTls();
  let metricsToken: Secret | undefined;
  const close = (): void => {
    tls?.close();
    metricsToken?.close();
  };
  try {
    metricsToken = openSecret("--metrics-token", config.metricsToken, config.metricsTokenFile, reloadMs, logger);
    judge(what, parseAddress(address), { ...config, tls, authenticate, metricsToken }, logger);
  } catch (error) {
    close();
    throw error;
  }
  const current = metricsToken?.current;
  return { tls, authenticate, guardMetrics: (page) => guardMetrics(page, current), close };

  function openTls(): ServerTls | undefined {
    if (tlsCert === undefined || tlsKey === undefined) {
      if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined && !tlsRequireClientCert)
        return undefined;
      const field = tlsCert === undefined ? "--tls-cert" : "--tls-key";
      throw new GmqError("invalid_argument", `TLS needs a certificate and its key: ${field} is missing`, {
        field,
        limit: "a file in PEM",
      });
    }
    const files = {
      cert: { flag: "--tls-cert", path: tlsCert },
      key: { flag: "--tls-key", path: tlsKey },
      ...(tlsClientCa === undefined ? {} : { clientCa: { flag: "--tls-client-ca", path: tlsClientCa } }),
      requireClientCert: tlsRequireClientCert,
    };
    return openServerTls(files, reloadMs, logger);
  }
}

/** @throws GmqError `invalid_argument` for a port that is not safe, when that is refused; else it is a warning in the log */
function judge(
  what: string,
  { host, port }: Address,
  given: Pick<PortSecurity, "tls" | "authenticate"> & {
    readonly metricsToken: Secret | undefined;
    readonly refuseUnsafe?: boolean;
  },
  logger: Logger,
): void {
  const { tls, authenticate, metricsToken, refuseUnsafe = false } = given;
  if (isLoopbackHost(host)) return;
  const isOpen = authenticate === undefined && tls?.requireClientCert !== true;
  const problem = isOpen
    ? `${what} lets everybody in who reaches ${host}:${port}: turn access on, or listen on 127.0.0.1`
    : tls === undefined
      ? `${what} takes tokens in the clear on ${host}:${port}: give it --tls-cert and --tls-key`
      : metricsToken === undefined && !tls.requireClientCert
        ? `${what} shows /metrics with the names of topics and groups to everybody who reaches ${host}:${port}: give it --metrics-token-file`
        : undefined;
  if (problem !== undefined) tellUnsafe(problem, refuseUnsafe, logger);
}

function tellUnsafe(problem: string, refuseUnsafe: boolean, logger: Logger): void {
  if (refuseUnsafe) throw new GmqError("invalid_argument", `unsafe: ${problem}`, { field: "--refuse-unsafe" });
  logger.warn(`UNSAFE: ${problem}`);
}

/**
 * Judges whether a secret leaves this machine in the clear.
 * @param does what is said in words, for example "the broker says its token"
 * @param remedy what to do instead
 * @throws GmqError `invalid_argument` where it does, with `refuseUnsafe`; else it is a warning in the log
 */
export function judgeSecretInTheClear(
  does: string,
  urls: readonly string[],
  remedy: string,
  refuseUnsafe: boolean,
  logger: Logger,
): void {
  const where = urls.filter((url) => !isSafeUrl(url)).map((url) => new URL(url).host);
  if (where.length > 0) tellUnsafe(`${does} in the clear to ${where.join(", ")}: ${remedy}`, refuseUnsafe, logger);
}

/** Whether only this machine reaches a port on this host. A name that merely begins with `127.` is somebody's. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Whether nobody on the way can answer in place of this URL: https, or this machine. False for what is no URL. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || isLoopbackHost(hostname.replace(/^\[|\]$/g, ""));
}
