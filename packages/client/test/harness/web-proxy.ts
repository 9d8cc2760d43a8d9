/** A reverse proxy in front of a broker for the browser's client: it sees each call and may hold, refuse or cut it. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What becomes of a call: it goes on to the broker, is never answered, or is answered with 503. */
export type Fate = "pass" | "hold" | "refuse";

export interface WebProxy {
  readonly url: string;
  /** Methods that were called, in order: `Consume`, `Settle`, `Publish`. */
  readonly calls: readonly string[];
  /** Decides for each call that comes; default: all pass. */
  decide: (method: string) => Fate;
  /** The broker that a call goes to; default: the one it was started with. */
  target: (method: string) => string;
  /** Ends every answer that is under way as if it were complete, without the message that should come last. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one in front of a broker. */
export async function startWebProxy(broker: string): Promise<WebProxy> {
  const calls: string[] = [];
  const open = new Set<() => void>();

  function forward(incoming: IncomingMessage, outgoing: ServerResponse, target: string): void {
    const { method, headers, url } = incoming;
    const onward = request(new URL(url ?? "/", target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      answer.once("error", () => outgoing.destroy());
    });
    const cut = (): void => {
      outgoing.end();
      onward.destroy();
    };
    open.add(cut);
    onward.once("error", () => outgoing.destroy());
    outgoing.once("close", () => {
      open.delete(cut);
      onward.destroy();
    });
    incoming.pipe(onward);
  }

  const server = createServer((incoming, outgoing) => {
    const called = incoming.url?.split("/").at(-1) ?? "";
    calls.push(called);
    const fate = proxy.decide(called);
    if (fate === "pass") forward(incoming, outgoing, proxy.target(called));
    else if (fate === "refuse") outgoing.writeHead(503, { "content-type": "text/plain" }).end("not now");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: WebProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    decide: () => "pass",
    target: () => broker,
    cut() {
      for (const end of open) end();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
