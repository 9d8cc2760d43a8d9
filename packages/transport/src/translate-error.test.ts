import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorCode, errorTable, GmqError } from "@gmq/protocol";
import { ErrorSchema } from "@gmq/protocol/messages";
import { describe, expect, it } from "vitest";
import { statusNumbers } from "./grpc-status.js";
import { errorFromMessage, errorToMessage, fromConnectError, toConnectError } from "./translate-error.js";

const codes = Object.keys(errorTable) as ErrorCode[];
const nodeError = (code: string) => Object.assign(new Error(`something ${code}`), { code });

describe("error messages", () => {
  it.each(codes)("carry %s with field and limit both ways", (code) => {
    const error = new GmqError(code, "text", { field: "f", limit: "3 bytes" });
    const message = errorToMessage(error);
    expect(message).toMatchObject({ code, message: "text", retryable: errorTable[code].retryable });
    expect(errorFromMessage(message)).toMatchObject({ code, message: "text", field: "f", limit: "3 bytes" });
  });

  it("make a code of a later build internal, and name it", () => {
    const error = errorFromMessage(create(ErrorSchema, { code: "moon_phase", message: "full" }));
    expect(error).toMatchObject({ code: "internal", message: 'full (code "moon_phase")' });
  });
});

describe("Connect errors", () => {
  it.each(codes)("carry %s", (code) => {
    const connectError = toConnectError(new GmqError(code, "text", { field: "f" }));
    expect(connectError.code).toBe(statusNumbers[errorTable[code].status]);
    expect(fromConnectError(connectError)).toMatchObject({ code, message: "text", field: "f" });
    // As a peer sees it: without the cause.
    connectError.cause = undefined;
    expect(fromConnectError(connectError)).toMatchObject({ code, message: "text", field: "f" });
  });

  it.each([
    "ECONNREFUSED",
    "ECONNRESET",
    "EPIPE",
    "ENOTFOUND",
    "ERR_HTTP2_GOAWAY_SESSION",
    "ERR_HTTP2_INVALID_SESSION",
  ])("%s is unavailable, alone and as a cause", (code) => {
    expect(fromConnectError(nodeError(code))).toMatchObject({ code: "unavailable", retryable: true });
    const wrapped = ConnectError.from(nodeError(code), Code.Internal);
    expect(fromConnectError(wrapped).code).toBe("unavailable");
  });

  it.each<[Code, ErrorCode]>([
    [Code.DeadlineExceeded, "deadline_exceeded"],
    [Code.Unavailable, "unavailable"],
    [Code.Unimplemented, "unimplemented"],
    [Code.Unauthenticated, "unauthenticated"],
    [Code.ResourceExhausted, "resource_exhausted"],
    [Code.Internal, "internal"],
    [Code.NotFound, "internal"],
  ])("a bare status %s is %s", (status, code) => {
    expect(fromConnectError(new ConnectError("text", status)).code).toBe(code);
  });

  it.each<[string, ErrorCode]>([
    ["message size 9 is larger than configured readMaxBytes 8", "frame_too_large"],
    ["parse binary: premature EOF", "malformed_frame"],
    ["protocol error: missing status", "unavailable"],
    ["http/2 stream closed with error code INTERNAL_ERROR (0x2)", "unavailable"],
  ])("Connect's own %j is %s", (text, code) => {
    expect(fromConnectError(new ConnectError(text, Code.Internal)).code).toBe(code);
  });

  it("tells the caller's cancel from a reset by the other side", () => {
    const cancelled = new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled);
    expect(fromConnectError(cancelled).code).toBe("cancelled");
    expect(fromConnectError(cancelled, AbortSignal.abort()).code).toBe("cancelled");
    expect(fromConnectError(cancelled, new AbortController().signal).code).toBe("unavailable");
  });

  it("keeps a GmqError, and makes a defect internal", () => {
    const known = new GmqError("fenced", "text");
    expect(fromConnectError(known)).toBe(known);
    expect(fromConnectError(new TypeError("x is undefined")).code).toBe("internal");
    expect(fromConnectError("text").code).toBe("internal");
  });

  it("ends on causes in a circle", () => {
    const error = new Error("a");
    error.cause = error;
    expect(fromConnectError(error).code).toBe("internal");
  });
});
