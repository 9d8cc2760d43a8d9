import type { SecureClientSessionOptions } from "node:http2";
import { isIP } from "node:net";
import { connect, createSecureContext, type SecureContextOptions } from "node:tls";
import { GmqError } from "@gmq/protocol";

/** Certificates of a TLS connection, PEM. */
export interface TlsClientOptions {
  /** Authorities to trust in place of the system's. */
  readonly ca?: string | Buffer;
  /** Own certificate and key, for servers that ask for one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Name that the server's certificate must bear; default: the host of the URL. */
  readonly servername?: string;
}

/** The certificates themselves, or who is asked for them at each new connection, so that they can be renewed. */
export type TlsClientSource = TlsClientOptions | (() => TlsClientOptions);

/**
 * Options for `connect` of node:http2 to this origin: certificates are looked up anew at every connection. Nothing for `http:`.
 * @throws GmqError `invalid_argument` naming the certificate that cannot be used
 */
export function tlsSessionOptions(origin: string, source: TlsClientSource = {}): SecureClientSessionOptions {
  const { protocol, hostname, port } = new URL(origin);
  if (protocol !== "https:") return {};
  const current = typeof source === "function" ? source : () => source;
  checkTls(current());
  const host = hostname.replace(/^\[|\]$/g, "");
  return {
    createConnection() {
      const { servername = isIP(host) === 0 ? host : "", ...certificates } = current();
      const socket = connect({
        ...certificates,
        host,
        servername,
        port: port === "" ? 443 : Number(port),
        minVersion: "TLSv1.2",
        ALPNProtocols: ["h2"],
      });
      // A server that refuses our certificate says so after the handshake: the session ends then, and forgets its socket.
      socket.on("error", () => socket.destroy());
      return socket;
    },
  };
}

/** Checks certificates before anything connects. @throws GmqError `invalid_argument` */
function checkTls({ ca, cert, key }: TlsClientOptions): void {
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? "tls.cert" : "tls.key";
    throw new GmqError("invalid_argument", "a certificate and its key belong together", {
      field: missing,
      limit: "both or none",
    });
  }
  checkCertificates("tls.ca", "certificates, PEM", ca);
  checkCertificates("tls.cert", "a certificate chain, PEM", cert);
  check("tls.key", "the private key of tls.cert, PEM", { cert, key });
}

/** OpenSSL passes over what is no certificate in silence. */
function checkCertificates(field: string, limit: string, given: string | Buffer | undefined): void {
  if (typeof given?.includes !== "function" || given.includes("-----BEGIN CERTIFICATE-----"))
    return check(field, limit, { ca: given });
  throw new GmqError("invalid_argument", `${field} cannot be used: there is no certificate in it`, { field, limit });
}

function check(field: string, limit: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GmqError("invalid_argument", `${field} cannot be used: ${reason}`, { field, limit, cause });
  }
}
