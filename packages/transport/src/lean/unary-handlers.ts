/** A service's unary methods straight on HTTP/2, for `listen`: gRPC without message compression is taken, everything else is left to Connect, so they have to be registered there too. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import type { FrameStream } from "../frame-stream.js";
import { requestIdHeader } from "../request-id.js";
import { errorToTell } from "../thrown-error.js";
import { frameCodec, pathOfMethod } from "./frame-method.js";
import { createLeanHandler, type LeanHandler } from "./lean-server.js";
import { viewDecoderOf } from "./view-decoder.js";

/** What answers the unary methods of a service, by their local names; those that are missing are left to Connect. */
export type UnaryCalls<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]?: Service["method"][Name] extends DescMethodUnary<
    infer Request,
    infer Answer
  >
    ? (request: MessageShape<Request>) => Promise<MessageInitShape<Answer>>
    : unknown;
};

type Message = MessageShape<DescMessage>;

/** Answers one request. */
type Call = (request: Message) => Promise<MessageInitShape<DescMessage>>;

/**
 * Makes the handlers. What a call throws reaches the caller as a GmqError; what is none is a defect: the caller gets `internal` without its text, `defect` gets all of it
 * with the method's name and the id that the answer bears.
 */
export function leanUnaryHandlers<Service extends DescService>(
  service: Service,
  calls: UnaryCalls<Service>,
  defect: (error: unknown, method: string, requestId: string) => void,
): LeanHandler[] {
  const byName: Readonly<Record<string, unknown>> = calls;
  return service.methods.flatMap((method) => {
    const call = byName[method.localName];
    if (method.methodKind !== "unary" || typeof call !== "function") return [];
    const name = `${service.typeName}/${method.name}`;
    return createLeanHandler<Message, Message>({
      path: pathOfMethod(method),
      codec: frameCodec(method.input, method.output, viewDecoderOf),
      isCall: true,
      accept(stream, peer) {
        const failed = (error: unknown): void => defect(error, name, peer.header(requestIdHeader) ?? "");
        stream.start(new OneCall(stream, method.output, call as Call, failed));
      },
    });
  });
}

/** Waits for the request, and answers it. */
class OneCall {
  readonly #stream: FrameStream<Message, Message>;
  readonly #output: DescMessage;
  readonly #call: Call;
  readonly #defect: (error: unknown) => void;
  #isAsked = false;

  constructor(
    stream: FrameStream<Message, Message>,
    output: DescMessage,
    call: Call,
    defect: (error: unknown) => void,
  ) {
    this.#stream = stream;
    this.#output = output;
    this.#call = call;
    this.#defect = defect;
  }

  frame(request: Message): void {
    if (this.#isAsked) {
      this.#stream.close(new GmqError("malformed_frame", "a unary call has one request", { field: "frame" }));
      return;
    }
    this.#isAsked = true;
    void this.#answer(request);
  }

  drain(): void {
    // There is one answer, however slowly it is read.
  }

  end(): void {
    if (!this.#isAsked)
      this.#stream.close(new GmqError("malformed_frame", "a unary call came without a request", { field: "frame" }));
  }

  async #answer(request: Message): Promise<void> {
    try {
      this.#stream.send(create(this.#output, await this.#call(request)));
      this.#stream.close();
    } catch (cause) {
      this.#stream.close(errorToTell(cause, this.#defect));
    }
  }
}
