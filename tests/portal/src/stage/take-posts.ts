/** A server that takes what is posted to it, as an operator's chat or pager would. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Posts<Body> {
  readonly url: string;
  /** Bodies in the order they came. */
  readonly taken: readonly Body[];
  /** The `gmq-delivery` of each. */
  readonly deliveries: readonly string[];
  /** Answers with this state from now on; 200 at first. */
  answer(state: number): void;
  close(): Promise<void>;
}

/** Starts it on a port of its own. */
export async function takePosts<Body>(): Promise<Posts<Body>> {
  const taken: Body[] = [];
  const deliveries: string[] = [];
  let state = 200;
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      taken.push(JSON.parse(text) as Body);
      deliveries.push(String(request.headers["gmq-delivery"]));
      response.writeHead(state).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts?secret=in-the-path`,
    taken,
    deliveries,
    answer(next) {
      state = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
