import { randomUUID } from "node:crypto";

/** A name that no other test has. */
export const name = (): string => `t-${randomUUID().slice(0, 8)}`;

/** Bytes as JSON has them. */
export const base64 = (text: string): string => Buffer.from(text).toString("base64");
