/**
 * Reads a server stream of the Connect protocol as JSON: five bytes of flags and length before each message, the last one with flag 2. Written out here
 * because the worker needs nothing else of the RPC library, which is twenty times the worker's size.
 */

const headBytes = 5;
const endFlag = 2;
const messageBytesMax = 64 * 1024 * 1024;

/** Calls a method without input and yields its messages until it ends. @throws when the call fails or the signal fires */
export async function* readJsonStream(url: string, signal: AbortSignal): AsyncGenerator<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/connect+json", "connect-protocol-version": "1" },
    body: envelope("{}"),
    signal,
  });
  if (!response.ok || response.body === null) throw new Error(`the portal answers ${response.status}`);
  const reader = response.body.getReader();
  const buffer = createBuffer();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the stream was cut");
    buffer.add(value);
    for (let message = buffer.take(); message !== undefined; message = buffer.take()) {
      if ((message.flags & endFlag) === 0) yield message.content;
      else {
        const { error } = message.content as { readonly error?: { readonly message?: string } };
        if (error !== undefined) throw new Error(error.message ?? "the portal ended the stream");
        return;
      }
    }
  }
}

function envelope(json: string): Uint8Array<ArrayBuffer> {
  const content = new TextEncoder().encode(json);
  const bytes = new Uint8Array(headBytes + content.length);
  new DataView(bytes.buffer).setUint32(1, content.length);
  bytes.set(content, headBytes);
  return bytes;
}

interface StreamBuffer {
  add(bytes: Uint8Array): void;
  /** The next whole message, undefined while there is none. */
  take(): { readonly flags: number; readonly content: unknown } | undefined;
}

function createBuffer(): StreamBuffer {
  let chunks: Uint8Array[] = [];
  let length = 0;

  /** One piece of everything that is there. Made only when a message may be whole, so that a large one is not copied with each chunk. */
  function joined(): Uint8Array {
    const [first] = chunks;
    if (chunks.length === 1 && first !== undefined) return first;
    const whole = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    chunks = [whole];
    return whole;
  }

  let wanted = headBytes;
  return {
    add(bytes) {
      chunks.push(bytes);
      length += bytes.length;
    },
    take() {
      if (length < wanted) return undefined;
      const whole = joined();
      const contentBytes = new DataView(whole.buffer, whole.byteOffset).getUint32(1);
      if (contentBytes > messageBytesMax) throw new Error(`a message of ${contentBytes} bytes`);
      wanted = headBytes + contentBytes;
      if (length < wanted) return undefined;
      const content: unknown = JSON.parse(new TextDecoder().decode(whole.subarray(headBytes, wanted)));
      const flags = whole[0] ?? 0;
      chunks = [whole.subarray(wanted)];
      length -= wanted;
      wanted = headBytes;
      return { flags, content };
    },
  };
}
