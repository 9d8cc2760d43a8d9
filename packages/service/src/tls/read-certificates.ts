/** Reads certificates and keys from the files that settings name, and tells of each wrong one what was expected. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { GmqError } from "@gmq/protocol";
import { readSettingFile, reasonOf, wrongFile } from "../read-file.js";

/** A file and the flag that names it. */
export interface NamedFile {
  readonly flag: string;
  readonly path: string;
}

const chainExpected = "a certificate chain in PEM that is valid now";
const authoritiesExpected = "certificates of authorities in PEM";

/**
 * Reads a certificate chain and its key.
 * @throws GmqError `invalid_argument` naming every wrong file
 */
export function readKeyPair(cert: NamedFile, key: NamedFile): { readonly cert: string; readonly key: string } {
  const problems: GmqError[] = [];
  const chain = tried(problems, () => readCertificates(cert, chainExpected, checkDates));
  const keyText = tried(problems, () => readKey(cert, key, chain?.certificates[0]));
  if (chain === undefined || keyText === undefined) throw joined(problems);
  return { cert: chain.text, key: keyText };
}

/** Reads the authorities to trust. @throws GmqError `invalid_argument` */
export function readAuthorities(file: NamedFile): string {
  return readCertificates(file, authoritiesExpected, (certificate) =>
    certificate.ca ? undefined : `${certificate.subject} is no authority`,
  ).text;
}

/** Several wrong files are one error that names them all. */
export function joined(problems: readonly GmqError[]): GmqError {
  const [first] = problems;
  if (first === undefined) return new GmqError("internal", "no problem to tell of");
  if (problems.length === 1) return first;
  const { field, limit } = first;
  return new GmqError("invalid_argument", problems.map(({ message }) => message).join("; "), { field, limit });
}

/** Runs `read`; a GmqError that it throws is added to the problems. */
export function tried<T>(problems: GmqError[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!GmqError.is(error)) throw error;
    problems.push(error);
    return undefined;
  }
}

function readCertificates(
  { flag, path }: NamedFile,
  expected: string,
  check: (certificate: X509Certificate) => string | undefined,
): { readonly text: string; readonly certificates: readonly X509Certificate[] } {
  const text = readSettingFile(flag, path, expected);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw wrongFile(flag, path, expected, "there is no certificate in it");
  const certificates = blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw wrongFile(flag, path, expected, `a certificate cannot be read: ${reasonOf(cause)}`, cause);
    }
  });
  const problem = certificates.map(check).find((found) => found !== undefined);
  if (problem !== undefined) throw wrongFile(flag, path, expected, problem);
  return { text, certificates };
}

function checkDates({ validFrom, validTo, subject }: X509Certificate): string | undefined {
  const now = Date.now();
  if (Date.parse(validTo) < now) return `the certificate ${subject} ran out on ${validTo}`;
  if (Date.parse(validFrom) > now) return `the certificate ${subject} is not valid before ${validFrom}`;
  return undefined;
}

function readKey(cert: NamedFile, { flag, path }: NamedFile, certificate: X509Certificate | undefined): string {
  const expected = `the private key of ${cert.flag} in PEM, without a passphrase`;
  const text = readSettingFile(flag, path, expected);
  let matches: boolean;
  try {
    const key = createPrivateKey(text);
    matches = certificate === undefined || certificate.checkPrivateKey(key);
  } catch {
    // The cause may hold parts of the file.
    throw wrongFile(flag, path, expected, "it cannot be read as a private key");
  }
  if (!matches) throw wrongFile(flag, path, expected, "it is the key of another certificate");
  return text;
}
