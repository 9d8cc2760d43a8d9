import type { DescMessage, DescMethodBiDiStreaming, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import type { FrameStream } from "../frame-stream.js";
import { fromConnectError } from "../translate-error.js";
import { createDuplexFrames } from "./duplex-frames.js";

/** How a stream is opened. */
export interface OpenFrameStreamOptions<Outgoing> {
  /** About how many bytes a frame holds: the sum of its payloads will do. Runs once a frame that has to wait. */
  readonly frameBytes: (frame: Outgoing) => number;
  /** Cancels the stream: it ends with `cancelled` here and is reset at the server. */
  readonly signal?: AbortSignal | undefined;
  /** More request headers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Connect's word for a call without the transport's default deadline. */
const noDeadline = 0;

/**
 * Opens a bidi call at once; every failure arrives at the handlers' `end`. Nothing waits for the response: send the first frame right away,
 * the server answers its headers with its first.
 */
export function openFrameStream<Request extends DescMessage, Response extends DescMessage>(
  transport: Transport,
  method: DescMethodBiDiStreaming<Request, Response>,
  options: OpenFrameStreamOptions<MessageShape<Request>>,
): FrameStream<MessageShape<Response>, MessageShape<Request>> {
  const call = new AbortController();
  const reset = (): void => call.abort(new ConnectError("the stream was closed", Code.Canceled));
  const duplex = createDuplexFrames<MessageShape<Response>, MessageShape<Request>>(options.frameBytes, {
    closing(error) {
      if (error !== undefined) reset();
      return undefined;
    },
    cut: reset,
  });
  const cancel = (): void =>
    duplex.stream.close(new GmqError("cancelled", "the caller gave up", { cause: options.signal?.reason }));

  async function run(): Promise<void> {
    try {
      const messages = duplex.outgoing as AsyncIterable<MessageInitShape<Request>>;
      const response = await transport.stream(method, call.signal, noDeadline, { ...options.headers }, messages);
      await duplex.receive(response.message);
      duplex.ended(undefined);
    } catch (error) {
      duplex.ended(fromConnectError(error, call.signal));
      // What failed may have been a handler: then the call still lives.
      reset();
    } finally {
      options.signal?.removeEventListener("abort", cancel);
    }
  }

  options.signal?.addEventListener("abort", cancel, { once: true });
  if (options.signal?.aborted === true) cancel();
  void run();
  return duplex.stream;
}
