/** The wire of the node:http2 floors: a type byte, four bytes of length, a body. Nothing is joined or copied, as a body may come in many chunks. */

/** What a frame is. */
export const frameType = { record: 0, settle: 1 } as const;

export const prefixBytes = 5;

/** A frame's prefix. */
export function prefixOf(type: number, bodyBytes: number): Buffer {
  const prefix = Buffer.allocUnsafe(prefixBytes);
  prefix.writeUInt8(type, 0);
  prefix.writeUInt32BE(bodyBytes, 1);
  return prefix;
}

/** Makes a function that takes the chunks of a stream and tells of each whole frame; the parts of its body are views of the chunks. */
export function createFrameCutter(whole: (type: number, parts: Buffer[]) => void): (chunk: Buffer) => void {
  let prefix: Buffer = Buffer.alloc(0);
  let parts: Buffer[] = [];
  let left = 0;
  let inBody = false;
  return (chunk) => {
    let position = 0;
    while (position < chunk.length) {
      if (!inBody) {
        const rest = chunk.subarray(position, position + prefixBytes - prefix.length);
        prefix = prefix.length === 0 ? rest : Buffer.concat([prefix, rest]);
        position += rest.length;
        if (prefix.length < prefixBytes) return;
        left = prefix.readUInt32BE(1);
        inBody = true;
      }
      const part = chunk.subarray(position, position + left);
      position += part.length;
      left -= part.length;
      if (part.length > 0) parts.push(part);
      if (left > 0) return;
      const type = prefix[0] as number;
      const body = parts;
      prefix = Buffer.alloc(0);
      parts = [];
      inBody = false;
      whole(type, body);
    }
  };
}
