/** Tokens and passwords, and what of them may be kept in a file. For Node only. */
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { GmqError } from "./errors.js";

const scryptAsync = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

/** A new bearer token: 256 bits of chance, with a beginning that tells what it is. */
export function createToken(): string {
  return `gmq_${randomBytes(32).toString("base64url")}`;
}

/** What is kept of a token. It is too long to be guessed, so that a plain hash is enough. */
export function hashToken(token: string): string {
  return `sha256:${createHash("sha256").update(token).digest("hex")}`;
}

/** The form of `hashToken`. */
export const tokenHashPattern = /^sha256:[0-9a-f]{64}$/;
/** The form of `hashPassword`: cost, block size, parallelism, salt, hash. */
export const passwordHashPattern = /^scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2}):([A-Za-z0-9_-]{22}):([A-Za-z0-9_-]{43})$/;

const cost = { N: 1 << 15, r: 8, p: 1 };
const memoryBytesMax = 256 * 1024 * 1024;

/** What is kept of a password: scrypt with a salt of its own. @throws GmqError `invalid_argument` */
export async function hashPassword(password: string): Promise<string> {
  if (password.length < 8 || password.length > 1_024) {
    throw new GmqError("invalid_argument", `a password of ${password.length} characters`, {
      field: "password",
      limit: "8 to 1024 characters",
    });
  }
  const salt = randomBytes(16);
  const hash = await scryptAsync(password, salt, 32, { ...cost, maxmem: memoryBytesMax });
  return `scrypt:${cost.N}:${cost.r}:${cost.p}:${salt.toString("base64url")}:${hash.toString("base64url")}`;
}

/** Whether this is the password; takes as long when it is not. @throws GmqError `invalid_argument` when `kept` is no hash of a password */
export async function isPassword(password: string, kept: string): Promise<boolean> {
  const [, N, r, p, salt, hash] = passwordHashPattern.exec(kept) ?? [];
  if (salt === undefined || hash === undefined) {
    throw new GmqError("invalid_argument", "not the hash of a password", { field: "password", limit: "scrypt:…" });
  }
  const settings = { N: Number(N), r: Number(r), p: Number(p), maxmem: memoryBytesMax };
  const found = await scryptAsync(password.slice(0, 1_024), Buffer.from(salt, "base64url"), 32, settings);
  return timingSafeEqual(found, Buffer.from(hash, "base64url"));
}
