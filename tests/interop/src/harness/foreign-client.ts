/** Clients of @grpc/grpc-js with descriptors of @grpc/proto-loader: nothing of ours but the .proto files. */
import { join } from "node:path";
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { root } from "./standalone.js";

/** A message as proto-loader gives it. */
export type Message = Readonly<Record<string, unknown>>;

const definition = loadSync(
  [
    "gmq/v1/broker.proto",
    "gmq/v1/admin.proto",
    "gmq/v1/error.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
  ],
  {
    includeDirs: [join(root, "proto")],
    keepCase: true,
    longs: String,
    enums: String,
    oneofs: true,
    defaults: true,
    bytes: Buffer,
  },
);

export interface ForeignClient {
  /** Calls a unary method. @throws ServiceError */
  call(method: string, request: object, options?: { readonly deadlineMs?: number }): Promise<Message>;
  /** A server stream. */
  read(method: string, request: object, options?: { readonly deadlineMs?: number }): ClientReadableStream<Message>;
  /** A bidi stream. */
  open(method: string): ClientDuplexStream<Message, Message>;
  close(): void;
}

/** Makes a client of a service by its full name. */
export function foreignClient(address: string, service: string): ForeignClient {
  const parts = service.split(".");
  let scope: unknown = loadPackageDefinition(definition);
  for (const part of parts) scope = (scope as Record<string, unknown>)[part];
  const client = new (scope as ServiceClientConstructor)(address, credentials.createInsecure());
  const methods = client as unknown as Record<string, (...given: unknown[]) => unknown>;
  const optionsOf = (options: { readonly deadlineMs?: number } = {}): object =>
    options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
  const methodOf = (name: string): ((...given: unknown[]) => unknown) => {
    const method = methods[name];
    if (method === undefined) throw new Error(`${service} has no method ${name}`);
    return method.bind(client);
  };
  return {
    call: (method, request, options) =>
      new Promise((resolve, reject) => {
        methodOf(method)(request, optionsOf(options), (error: ServiceError | null, response: Message) =>
          error === null ? resolve(response) : reject(error),
        );
      }),
    read: (method, request, options) => methodOf(method)(request, optionsOf(options)) as ClientReadableStream<Message>,
    open: (method) => methodOf(method)() as ClientDuplexStream<Message, Message>,
    close: () => client.close(),
  };
}

/** Messages and the end of a stream, as they come. */
export function collect(stream: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>): {
  readonly messages: Message[];
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
} {
  const messages: Message[] = [];
  stream.on("data", (message: Message) => messages.push(message));
  // grpc-js tells an error twice: here, and by the status.
  stream.on("error", (error: Error) => error);
  return { messages, ended: new Promise((resolve) => stream.once("status", resolve)) };
}
