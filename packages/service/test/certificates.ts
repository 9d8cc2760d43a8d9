import "reflect-metadata";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
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
  server(options?: {
    readonly daysFrom?: number;
    readonly daysTo?: number;
    readonly names?: readonly string[];
    /** Good for calling others, too: nodes that call each other. */
    readonly alsoClient?: boolean;
  }): Promise<Issued>;
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

const serverUsage = "1.3.6.1.5.5.7.3.1";
const clientUsage = "1.3.6.1.5.5.7.3.2";
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

  async function issue(
    subject: string,
    usages: readonly string[],
    daysFrom = -1,
    daysTo = 1,
    names: readonly string[] = ["localhost", "127.0.0.1"],
  ): Promise<Issued> {
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
        new ExtendedKeyUsageExtension([...usages]),
        new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))),
      ],
    });
    const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", own.privateKey)).toString("base64");
    const key = `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
    return { cert: `${certificate.toString("pem")}\n`, key };
  }

  return {
    ca: `${root.toString("pem")}\n`,
    server: ({ daysFrom, daysTo, names, alsoClient = false } = {}) =>
      issue("localhost", alsoClient ? [serverUsage, clientUsage] : [serverUsage], daysFrom, daysTo, names),
    client: (clientName) => issue(clientName, [clientUsage]),
  };
}
