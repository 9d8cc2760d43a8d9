/** gRPC server reflection, v1 and v1alpha: grpcurl, buf curl and Postman find our services and their messages without our proto files. */
import { type DescFile, type DescMessage, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { reflectionV1, reflectionV1Alpha } from "@gmq/protocol/grpc";

type Request = reflectionV1.ServerReflectionRequest;
type Answer = NonNullable<MessageInitShape<typeof reflectionV1.ServerReflectionResponseSchema>["messageResponse"]>;

const notFound = 5;
const unimplemented = 12;

/** Describes these services, and reflection itself. */
export function reflectionRoutes(services: readonly DescService[]): (router: ConnectRouter) => void {
  const all = [...services, reflectionV1.ServerReflection, reflectionV1Alpha.ServerReflection];
  const files = collectFiles(all.map(({ file }) => file));
  const symbols = collectSymbols(files.values());

  function answer(request: Request["messageRequest"]): Answer {
    switch (request.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: all.map(({ typeName }) => ({ name: typeName })) } };
      case "fileByFilename":
        return describe(files.get(request.value), request.value);
      case "fileContainingSymbol":
        return describe(symbols.get(request.value.replace(/^\./, "")), request.value);
      case "allExtensionNumbersOfType":
        return symbols.has(request.value)
          ? { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber: [] } }
          : missing(request.value);
      case "fileContainingExtension":
        return missing(`extension ${request.value.extensionNumber} of ${request.value.containingType}`);
      case undefined:
        return { case: "errorResponse", value: { errorCode: unimplemented, errorMessage: "unknown question" } };
    }
  }

  async function* respond(requests: AsyncIterable<Request>) {
    for await (const request of requests) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
    }
  }

  return (router) => {
    router.service(reflectionV1.ServerReflection, { serverReflectionInfo: respond });
    // The same messages under another package: same fields, same numbers.
    router.service(reflectionV1Alpha.ServerReflection, { serverReflectionInfo: respondAlpha });
  };

  async function* respondAlpha(requests: AsyncIterable<reflectionV1Alpha.ServerReflectionRequest>) {
    for await (const request of requests) {
      const messageResponse = answer(request.messageRequest as Request["messageRequest"]);
      yield { validHost: request.host, originalRequest: request, messageResponse } as MessageInitShape<
        typeof reflectionV1Alpha.ServerReflectionResponseSchema
      >;
    }
  }
}

/** A file and everything that it imports, each once. */
function describe(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined) return missing(asked);
  const fileDescriptorProto = [...collectFiles([file]).values()].map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function missing(asked: string): Answer {
  return { case: "errorResponse", value: { errorCode: notFound, errorMessage: `${asked} is not known` } };
}

function collectFiles(roots: readonly DescFile[]): Map<string, DescFile> {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  roots.forEach(add);
  return files;
}

function collectSymbols(files: Iterable<DescFile>): Map<string, DescFile> {
  const symbols = new Map<string, DescFile>();
  for (const file of files) {
    const addMessage = (message: DescMessage): void => {
      symbols.set(message.typeName, file);
      for (const field of message.fields) symbols.set(`${message.typeName}.${field.name}`, file);
      for (const inner of message.nestedEnums) symbols.set(inner.typeName, file);
      message.nestedMessages.forEach(addMessage);
    };
    file.messages.forEach(addMessage);
    for (const one of file.enums) symbols.set(one.typeName, file);
    for (const service of file.services) {
      symbols.set(service.typeName, file);
      for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
    }
  }
  return symbols;
}
