/** HTTP/2 frames as an attacker writes them (RFC 9113, 4.1 and 6). */
import type { Socket } from "node:net";
import { connectRaw } from "./sockets.js";

export const frameTypes = { headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const;
export const endHeaders = 0x4;
export const endStream = 0x1;

/** One frame. */
export function frameOf(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** A header block that asks for a path: indexed fields of HPACK's static table, and two literals. */
export function requestBlock(path: string): Buffer {
  const authority = Buffer.from("localhost");
  const text = Buffer.from(path);
  return Buffer.concat([
    Buffer.from([0x82, 0x86, 0x41, authority.length]),
    authority,
    Buffer.from([0x44, text.length]),
    text,
  ]);
}

/** A header that is not put into the table. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x00, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/** A connection that has said its preface and empty settings. */
export async function attack(port: number): Promise<Socket> {
  const socket = await connectRaw(port);
  socket.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"));
  socket.write(frameOf(frameTypes.settings, 0, 0));
  return socket;
}

/** Writes what `next` makes until the peer cuts the connection; false: it did not, after `chunksMax` chunks. */
export async function flood(socket: Socket, next: (turn: number) => Buffer, chunksMax: number): Promise<boolean> {
  let isOver = false;
  socket.once("close", () => {
    isOver = true;
  });
  for (let turn = 0; turn < chunksMax && !isOver; turn++) {
    if (!socket.write(next(turn))) {
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", resolve);
      });
    } else if (turn % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (let look = 0; look < 500 && !isOver; look++) await new Promise((resolve) => setTimeout(resolve, 20));
  return isOver;
}
