/** How gRPC-web and Connect streams frame messages. */

/** One message with its five-byte prefix. */
export function framed(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}
