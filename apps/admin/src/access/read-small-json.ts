import { GmqError } from "@gmq/protocol";
import type { PlainRequest } from "@gmq/service";

const bytesMax = 16 * 1024;
const timeoutMs = 5_000;

/** The JSON object in a request. @throws GmqError `invalid_argument`, `deadline_exceeded` when it does not come */
export async function readSmallJson(request: PlainRequest): Promise<Readonly<Record<string, unknown>>> {
  if (!(request.headers["content-type"] ?? "").startsWith("application/json")) throw unreadable();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new GmqError("deadline_exceeded", "the request did not come", { field: "body", limit: `${timeoutMs} ms` }),
      );
    }, timeoutMs);
  });
  try {
    const value: unknown = JSON.parse(await Promise.race([readText(request), late]));
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable();
    return value as Record<string, unknown>;
  } catch (error) {
    throw error instanceof SyntaxError ? unreadable() : error;
  } finally {
    clearTimeout(timer);
  }
}

async function readText(request: PlainRequest): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new GmqError("invalid_argument", "the request is too large", { field: "body", limit: `${bytesMax} bytes` });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function unreadable(): GmqError {
  return new GmqError("invalid_argument", "expected a JSON object", { field: "body", limit: "application/json" });
}
