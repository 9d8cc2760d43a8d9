/**
 * Bodies of requests on their way to Connect, which decodes whatever fits its bound of bytes: 8 MiB of empty messages take half a gigabyte and two seconds. Here each message
 * is unpacked and looked through before that. What is no message as its protocol says is passed on as it is, for Connect to refuse.
 *
 *   unary Connect   = message, all of it packed when content-encoding says so
 *   everything else = (flags(1 byte) length(4 bytes, big endian) message)*, packed where the lowest flag says so
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { compressionGzip } from "@connectrpc/connect-node";
import { GmqError, limits } from "@gmq/protocol";
import { checkListItems, toConnectError } from "@gmq/transport";

/** A request as Connect takes it. */
export interface CheckedRequest {
  readonly header: Headers;
  readonly body: AsyncIterable<Uint8Array>;
}

type Check = (message: Uint8Array) => void;

const prefixBytes = 5;
const packedFlag = 1;
const unaryType = /^application\/(?:proto|json)\b/;
const jsonType = /\bjson\b/;

/** The request with its messages looked through, as they are read; its header is changed where they were packed. */
export function checkedRequest({ header, body }: CheckedRequest, input: DescMessage): CheckedRequest {
  const type = header.get("content-type") ?? "";
  const check = jsonType.test(type) ? checkJson : (message: Uint8Array) => checkBinary(input, message);
  if (!unaryType.test(type)) {
    const encoding = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    return { header, body: checkedMessages(body, check, encoding === "gzip") };
  }
  const encoding = header.get("content-encoding") ?? "identity";
  const isPacked = encoding === "gzip";
  if (!isPacked && encoding !== "identity") return { header, body };
  if (!isPacked) return { header, body: checkedWhole(body, check, isPacked) };
  const unpacked = new Headers(header);
  unpacked.delete("content-encoding");
  unpacked.delete("content-length");
  return { header: unpacked, body: checkedWhole(body, check, isPacked) };
}

async function* checkedWhole(
  body: AsyncIterable<Uint8Array>,
  check: Check,
  isPacked: boolean,
): AsyncGenerator<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    parts.push(chunk);
    bytes += chunk.length;
    // Connect stops reading here.
    if (bytes > limits.frameBytesMax) yield Buffer.concat(parts.splice(0));
  }
  if (bytes > limits.frameBytesMax) return;
  const sent = Buffer.concat(parts, bytes);
  const message = isPacked ? await compressionGzip.decompress(sent, limits.frameBytesMax) : sent;
  check(message);
  yield message;
}

async function* checkedMessages(
  body: AsyncIterable<Uint8Array>,
  check: Check,
  unpacks: boolean,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let needed = prefixBytes;
  let passes = false;
  for await (const chunk of body) {
    if (passes) {
      yield chunk;
      continue;
    }
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < needed) continue;
    let held = Buffer.concat(parts, bytes);
    needed = prefixBytes;
    while (held.length >= prefixBytes) {
      const end = prefixBytes + held.readUInt32BE(1);
      const flags = held[0] as number;
      if (end > prefixBytes + limits.frameBytesMax || flags > (unpacks ? packedFlag : 0)) {
        passes = true;
        break;
      }
      if (end > held.length) {
        needed = end;
        break;
      }
      const sent = held.subarray(prefixBytes, end);
      const message = flags === packedFlag ? await compressionGzip.decompress(sent, limits.frameBytesMax) : sent;
      check(message);
      yield flags === packedFlag ? framed(message) : held.subarray(0, end);
      held = held.subarray(end);
    }
    if (passes) yield held;
    parts = [held];
    bytes = held.length;
  }
  // It broke off.
  if (!passes && bytes > 0) yield Buffer.concat(parts, bytes);
}

function framed(message: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(prefixBytes + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixBytes);
  return bytes;
}

function checkBinary(input: DescMessage, message: Uint8Array): void {
  try {
    checkListItems(input, message);
  } catch (error) {
    throw toConnectError(GmqError.from(error));
  }
}

const [quote, backslash, comma, bracket, brace] = Buffer.from('"\\,[{');

/** Every item of a list has a comma or a bracket before it, so has every field. */
function checkJson(message: Uint8Array): void {
  let items = 0;
  let isText = false;
  for (let at = 0; at < message.length; at++) {
    const byte = message[at];
    if (byte === quote) isText = !isText;
    else if (isText && byte === backslash) at++;
    else if (!isText && (byte === comma || byte === bracket || byte === brace)) items++;
  }
  if (items <= limits.listItemsPerFrameMax) return;
  const limit = `${limits.listItemsPerFrameMax} items`;
  throw toConnectError(
    new GmqError("malformed_frame", "the lists and fields of a message are too many", { field: "message", limit }),
  );
}
