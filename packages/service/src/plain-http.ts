import type { IncomingHttpHeaders } from "node:http";

/** A request as HTTP/1.1 and HTTP/2 have in common; iterating reads its body. */
export interface PlainRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** A response as HTTP/1.1 and HTTP/2 have in common. */
export interface PlainResponse {
  writeHead(status: number, headers: Readonly<Record<string, string | number | string[]>>): unknown;
  end(body?: string | Uint8Array): unknown;
}

/** Answers what is no RPC: health pages, static files. False: not its path, nothing was touched. */
export type PlainHttp = (request: PlainRequest, response: PlainResponse) => boolean;
