import { timingSafeEqual } from "node:crypto";
import { hashToken } from "@gmq/protocol/secrets";
import type { PlainHttp } from "./plain-http.js";

/**
 * Lets a page of metrics be read by who says the token: it names topics and groups. Other paths are the page's own affair.
 * @param token asked for at each scrape, so that it can be renewed; undefined: everybody may read
 */
export function guardMetrics(page: PlainHttp, token: (() => string) | undefined): PlainHttp {
  if (token === undefined) return page;
  return (request, response) => {
    const { url = "", headers } = request;
    if (url !== "/metrics" && !url.startsWith("/metrics?")) return page(request, response);
    const given = /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(headers.authorization ?? "")?.[1];
    // Hashes are of one length, as the comparison needs it.
    if (given !== undefined && timingSafeEqual(Buffer.from(hashToken(given)), Buffer.from(hashToken(token())))) {
      return page(request, response);
    }
    response.writeHead(401, { "www-authenticate": "Bearer", "content-type": "text/plain; charset=utf-8" });
    response.end("the token for metrics is needed\n");
    return true;
  };
}
