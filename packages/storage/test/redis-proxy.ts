/** A TCP proxy before a real Redis, which stops an engine's connection at a command or an answer, so that a test decides what happens in between. */
import { once } from "node:events";
import { createServer, type Socket, connect as tcpConnect } from "node:net";

/** What is stopped until the test lets it go on. */
export interface Stop {
  /** Resolves when something is stopped. */
  readonly reached: Promise<void>;
  /** Lets it go on, and stops nothing more. */
  release(): void;
}

export interface RedisProxy {
  readonly url: string;
  /** New connections go there. */
  route(port: number): void;
  /** Stops a connection at the first command whose bytes hold this text; nothing of it has reached Redis. */
  stopAt(text: string): Stop;
  /** Stops the answers on the connection that sends this text; Redis has the command. */
  stopAnswerTo(text: string): Stop;
  /** Connections whose name holds this text pass nothing on any more, as if the other end had vanished. Returns what they have swallowed. */
  silence(name: string): () => string;
  /** Breaks the connections whose name holds this text. */
  cut(name: string): void;
  /** Connections of this name ever made. */
  count(name: string): number;
  stop(): Promise<void>;
}

interface Passage {
  readonly client: Socket;
  readonly server: Socket;
  name: string;
  isSilent: boolean;
  swallowed: string;
}

interface Trap {
  readonly text: string;
  readonly side: "command" | "answer";
  reach(): void;
  readonly freed: Promise<void>;
}

const nameOf = /gmq-[a-z]+/;

/** Starts it before the server on this port. */
export async function startRedisProxy(port: number): Promise<RedisProxy> {
  let target = port;
  const passages = new Set<Passage>();
  const names: string[] = [];
  const traps = new Set<Trap>();

  const server = createServer((client) => {
    const upstream = tcpConnect(target, "127.0.0.1");
    const passage: Passage = { client, server: upstream, name: "", isSilent: false, swallowed: "" };
    passages.add(passage);
    const end = (): void => {
      passages.delete(passage);
      client.destroy();
      upstream.destroy();
    };
    let answersFreed = Promise.resolve();
    let commandsFreed = Promise.resolve();
    for (const socket of [client, upstream]) {
      socket.on("error", end);
      socket.on("close", end);
    }
    client.on("data", (bytes) => {
      const text = bytes.toString("latin1");
      const name = passage.name === "" ? nameOf.exec(text)?.[0] : undefined;
      if (name !== undefined) {
        passage.name = name;
        names.push(name);
      }
      if (passage.isSilent) {
        passage.swallowed += text;
        return;
      }
      for (const trap of [...traps]) {
        if (!text.includes(trap.text)) continue;
        traps.delete(trap);
        if (trap.side === "command") commandsFreed = commandsFreed.then(() => trap.freed);
        else answersFreed = answersFreed.then(() => trap.freed);
        trap.reach();
      }
      commandsFreed = commandsFreed.then(() => void upstream.write(bytes));
    });
    upstream.on("data", (bytes) => {
      if (passage.isSilent) return;
      answersFreed = answersFreed.then(() => void client.write(bytes));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const ownPort = typeof address === "object" && address !== null ? address.port : 0;

  function trap(text: string, side: Trap["side"]): Stop {
    let reach = (): void => undefined;
    let free = (): void => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const freed = new Promise<void>((resolve) => (free = resolve));
    const own: Trap = { text, side, reach, freed };
    traps.add(own);
    return {
      reached,
      release() {
        traps.delete(own);
        free();
      },
    };
  }

  const named = (name: string): Passage[] => [...passages].filter((passage) => passage.name.includes(name));
  return {
    url: `redis://127.0.0.1:${ownPort}`,
    route(next) {
      target = next;
    },
    stopAt: (text) => trap(text, "command"),
    stopAnswerTo: (text) => trap(text, "answer"),
    silence(name) {
      const silent = named(name);
      for (const passage of silent) passage.isSilent = true;
      return () => silent.map(({ swallowed }) => swallowed).join("");
    },
    cut(name) {
      for (const { client } of named(name)) client.destroy();
    },
    count: (name) => names.filter((known) => known.includes(name)).length,
    async stop() {
      for (const { client } of passages) client.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
