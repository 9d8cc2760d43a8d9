/** Calls with one request, straight on HTTP/2: unary ones, and those that are answered by a stream. Any gRPC server understands them. */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import type { NodeTransportOptions } from "../node-transport.js";
import type { FrameCodec } from "./duplex-frames.js";
import { frameCodec, pathOfMethod, protobufDecoderOf } from "./frame-method.js";
import { createLeanSession } from "./lean-session.js";
import { createMessageParser, messagePrefix } from "./message-framing.js";
import { openLeanRequest } from "./request.js";

/** What a call may take. */
export interface CallLimits {
  /** Gives up with `deadline_exceeded`; the server is told of it too. */
  readonly timeoutMs?: number;
  /** Gives up with `cancelled`. */
  readonly signal?: AbortSignal;
}

/**
 * A service's calls with one request: `client.createTopic({ topic })`. Every call fails with a GmqError: the peer's own when it sent one, else `unavailable`,
 * `deadline_exceeded`, `cancelled`; its `retryable` tells whether to call again.
 */
export type CallClient<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<
    infer Request,
    infer Answer
  >
    ? (request: MessageInitShape<Request>, limits?: CallLimits) => Promise<MessageShape<Answer>>
    : Service["method"][Name] extends DescMethodServerStreaming<infer Request, infer Answer>
      ? (request: MessageInitShape<Request>, limits?: CallLimits) => AsyncIterable<MessageShape<Answer>>
      : never;
};

/** An HTTP/2 connection of its own for calls, opened with the first one and again after it was lost. */
export interface CallConnection {
  client<Service extends DescService>(service: Service): CallClient<Service>;
  /** Gives the connection up, with every call on it: it is silent, and nobody knows whether it still reaches anyone. The next call gets a new one. */
  drop(): void;
  /** Ends the connection and every call on it, at once. Later calls fail with `closed`. Idempotent. */
  close(): void;
}

/** A method as its calls need it, made with the first of them. */
interface Method {
  readonly path: string;
  readonly codec: FrameCodec<MessageShape<DescMessage>, MessageShape<DescMessage>>;
  readonly input: DescMessage;
}

/** Answers of a stream that wait for their reader; the server is held up beyond. */
const unreadMax = 64;

/** Makes the connection. Unary calls have the target's `callTimeoutMs` unless they name a deadline, streams have none. @throws GmqError `invalid_argument` (url, tls) */
export function createCallConnection(target: NodeTransportOptions): CallConnection {
  const { connectTimeoutMs = 5_000, callTimeoutMs = 30_000 } = target;
  const session = createLeanSession(target);

  /** Sends the request at once and tells its answers one by one; leaving the loop early cancels it. */
  async function* call(
    { path, codec: { decode, encode }, input }: Method,
    request: MessageInitShape<DescMessage>,
    { timeoutMs = 0, signal }: CallLimits,
  ): AsyncGenerator<MessageShape<DescMessage>> {
    const body = bodyOf(() => encode(create(input, request)));
    checkSize(body.length);
    if (signal?.aborted === true) throw cancelled(signal);

    const unread: MessageShape<DescMessage>[] = [];
    let end: { readonly error: GmqError | undefined } | undefined;
    let wake: (() => void) | undefined;
    const opened = session.open();
    const headers = {
      ...session.headers(),
      ...(timeoutMs > 0 ? { "grpc-timeout": `${Math.min(timeoutMs, 99_999_999)}m` } : {}),
    };
    const { stream, reset } = openLeanRequest(opened, path, headers, (error) => finish(error));
    const bytesBefore = bytesHeard();

    function bytesHeard(): number {
      return opened.destroyed || opened.connecting ? 0 : opened.socket.bytesRead;
    }
    function finish(error: GmqError | undefined): void {
      // Only the caller cancels: a call that was cut by the other side may be made again.
      const cut = error?.code === "cancelled" && signal?.aborted !== true;
      end ??= { error: cut ? new GmqError("unavailable", error.message, { cause: error }) : error };
      wake?.();
    }
    function give(error: GmqError): void {
      finish(error);
      reset();
    }
    const parser = createMessageParser(limits.frameBytesMax, (bytes) => unread.push(decode(bytes)));
    stream.on("data", (chunk: Buffer) => {
      try {
        parser.push(chunk);
      } catch (cause) {
        give(
          GmqError.is(cause)
            ? cause
            : new GmqError("malformed_frame", "an answer could not be parsed", { field: "answer", cause }),
        );
      }
      if (unread.length >= unreadMax) stream.pause();
      wake?.();
    });

    const timers: NodeJS.Timeout[] = [];
    const cancel = (): void => give(cancelled(signal));
    try {
      signal?.addEventListener("abort", cancel, { once: true });
      if (opened.connecting) {
        const late = setTimeout(() => {
          if (!opened.connecting) return;
          give(
            new GmqError("unavailable", `no connection to ${session.authority}`, { limit: `${connectTimeoutMs} ms` }),
          );
          opened.destroy();
        }, connectTimeoutMs);
        timers.push(late);
      }
      if (timeoutMs > 0) {
        timers.push(
          setTimeout(() => {
            give(
              new GmqError("deadline_exceeded", `the call took longer than ${timeoutMs} ms`, {
                limit: `${timeoutMs} ms`,
              }),
            );
            // Not a byte in all that time: nobody knows whether the connection still reaches anyone, and the next call gets a new one.
            if (bytesHeard() === bytesBefore) opened.destroy();
          }, timeoutMs),
        );
      }
      stream.end(Buffer.concat([messagePrefix(body.length), body]));
      for (;;) {
        const answer = unread.shift();
        if (answer !== undefined) yield answer;
        else if (end !== undefined) break;
        else {
          stream.resume();
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = undefined;
        }
      }
      if (end.error !== undefined) throw end.error;
      if (!parser.atBoundary)
        throw new GmqError("malformed_frame", "the answer ended inside a message", { field: "answer" });
    } finally {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
      if (end === undefined) reset();
    }
  }

  async function unary(method: Method, request: MessageInitShape<DescMessage>, given: CallLimits | undefined) {
    let answer: MessageShape<DescMessage> | undefined;
    for await (const message of call(method, request, { timeoutMs: callTimeoutMs, ...given })) answer = message;
    if (answer === undefined)
      throw new GmqError("malformed_frame", "the call ended without an answer", { field: "answer" });
    return answer;
  }

  return {
    client<Service extends DescService>(service: Service) {
      const calls = service.methods.map((desc) => {
        let made: Method | undefined;
        const method = (): Method => {
          // Answers may hold what frames do not, for example maps.
          made ??= {
            path: pathOfMethod(desc),
            codec: frameCodec(desc.output, desc.input, protobufDecoderOf),
            input: desc.input,
          };
          return made;
        };
        return [
          desc.localName,
          (request: MessageInitShape<DescMessage>, given?: CallLimits) =>
            desc.methodKind === "unary" ? unary(method(), request, given) : call(method(), request, given ?? {}),
        ];
      });
      return Object.fromEntries(calls) as CallClient<Service>;
    },
    drop: session.drop,
    close: session.close,
  };
}

function cancelled(signal: AbortSignal | undefined): GmqError {
  return new GmqError("cancelled", "the caller gave up", { cause: signal?.reason });
}

/** @throws GmqError `invalid_argument` for a request with values that it cannot have */
function bodyOf(encode: () => readonly Uint8Array[]): Buffer {
  try {
    return Buffer.concat(encode());
  } catch (cause) {
    const message = `the request has a value that it cannot have: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new GmqError("invalid_argument", message, { field: "request", limit: "values of its types", cause });
  }
}

function checkSize(bytes: number): void {
  if (bytes <= limits.frameBytesMax) return;
  throw new GmqError("frame_too_large", `a request of ${bytes} bytes`, {
    field: "request",
    limit: `${limits.frameBytesMax} bytes`,
  });
}
