import type { IncomingHttpHeaders } from "node:http";
import { cors } from "@connectrpc/connect";

/** Headers that let a browser page of another origin call; undefined when it may not. */
export type CorsPolicy = (request: {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}) => Readonly<Record<string, string>> | undefined;

const preflightSeconds = 7_200;

/** Allows these origins, for example `https://console.example.com`; `*` allows every one. None: no page of another origin may call. */
export function createCorsPolicy(allowedOrigins: readonly string[]): CorsPolicy {
  const any = allowedOrigins.includes("*");
  return ({ method, headers }) => {
    const origin = headers.origin;
    if (origin === undefined || !(any || allowedOrigins.includes(origin))) return undefined;
    const shared = { "access-control-allow-origin": origin, vary: "origin" };
    if (!isPreflight(method, headers)) {
      return { ...shared, "access-control-expose-headers": cors.exposedHeaders.join(", ") };
    }
    return {
      ...shared,
      "access-control-allow-methods": cors.allowedMethods.join(", "),
      "access-control-allow-headers": [...cors.allowedHeaders, "Authorization"].join(", "),
      "access-control-max-age": String(preflightSeconds),
    };
  };
}

/** True for the question that a browser asks before it calls another origin. */
export function isPreflight(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}
