import { GmqError } from "@gmq/protocol";

/** The origin of a URL to connect to. @throws GmqError `invalid_argument` */
export function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && (url.pathname === "/" || url.pathname === "") && url.search === "";
  if (isOrigin && (url.protocol === "http:" || url.protocol === "https:")) return url.origin;
  throw new GmqError("invalid_argument", `${JSON.stringify(text)} is not an address to connect to`, {
    field: "url",
    limit: "http://host:port or https://host:port",
  });
}
