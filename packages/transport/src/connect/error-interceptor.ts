import {
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
} from "@connectrpc/connect";
import { errorToTell } from "../thrown-error.js";
import { toConnectError } from "../translate-error.js";

/**
 * For servers: what a handler throws reaches the caller as a GmqError. Anything that is neither a GmqError nor a ConnectError is a defect: the caller
 * gets `internal` without its text, `defect` gets all of it, with the call's headers. Frame streams translate for themselves and pass untouched.
 */
export function errorInterceptor(defect: (error: unknown, method: string, header: Headers) => void): Interceptor {
  return (next) => async (request) => {
    if (request.method.methodKind === "bidi_streaming") return next(request);
    const translate = (error: unknown): ConnectError => translateThrown(error, request, defect);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: translatedMessages(response, translate) } : response;
    } catch (error) {
      throw translate(error);
    }
  };
}

async function* translatedMessages(response: StreamResponse, translate: (error: unknown) => ConnectError) {
  try {
    yield* response.message;
  } catch (error) {
    throw translate(error);
  }
}

function translateThrown(
  error: unknown,
  request: UnaryRequest | StreamRequest,
  defect: (error: unknown, method: string, header: Headers) => void,
): ConnectError {
  if (error instanceof ConnectError) return error;
  const method = `${request.service.typeName}/${request.method.name}`;
  return toConnectError(errorToTell(error, (thrown) => defect(thrown, method, request.header)));
}
