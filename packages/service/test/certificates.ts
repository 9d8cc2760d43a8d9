import "reflect-metadata";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate and its key, PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** An authority of one test. */
export interface TestAuthority {
  readonly ca: string;
  /** For localhost and 127.0.0.1 unless `names` says otherwise. */
  server(options?: { readonly daysFrom?: number; readonly daysTo?: number }): Promise<Issued>;
  client(name: string): Promise<Issued>;
}

/** A folder for certificate files, deleted by `remove`. */
export async function certificateFolder() {
  const folder = await mkdtemp(join(tmpdir(), "gmq-tls-"));
  return {
    path: (name: string) => join(folder, name),
    async write(name: string, text: string): Promise<string> {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

const dayMs = 24 * 60 * 60 * 1_000;
let serial = 1;

/** Makes an authority with a key of its own. */
export async function createAuthority(name = "GMQ test authority"): Promise<TestAuthority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: String(serial++).padStart(4, "0"),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 1, true)],
  });

  async function issue(subject: string, usage: string, daysFrom = -1, daysTo = 1): Promise<Issued> {
    const own = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.create({
      serialNumber: String(serial++).padStart(4, "0"),
      subject: `CN=${subject}`,
      issuer: root.subject,
      notBefore: new Date(Date.now() + daysFrom * dayMs),
      notAfter: new Date(Date.now() + daysTo * dayMs),
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new ExtendedKeyUsageExtension([usage]),
        new SubjectAlternativeNameExtension([
          { type: "dns", value: "localhost" },
          { type: "ip", value: "127.0.0.1" },
        ]),
      ],
    });
    const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", own.privateKey)).toString("base64");
    const key = `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
    return { cert: `${certificate.toString("pem")}\n`, key };
  }

  return {
    ca: `${root.toString("pem")}\n`,
    server: ({ daysFrom, daysTo } = {}) => issue("localhost", "1.3.6.1.5.5.7.3.1", daysFrom, daysTo),
    client: (clientName) => issue(clientName, "1.3.6.1.5.5.7.3.2"),
  };
}
