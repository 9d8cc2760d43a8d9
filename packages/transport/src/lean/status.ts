/**
 * gRPC status in trailers (PROTOCOL-HTTP2): `grpc-status`, percent-encoded `grpc-message`, and `grpc-status-details-bin`, a google.rpc.Status
 * (code = 1, message = 2, repeated Any details = 3) that carries one gmq.v1.Error. Connect reads and writes the same.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { errorTable, GmqError } from "@gmq/protocol";
import { ErrorSchema } from "@gmq/protocol/messages";
import { errorFromMessage } from "../error-messages.js";
import { codeOfStatus, statusNumbers } from "../grpc-status.js";

const detailsType = `type.googleapis.com/${ErrorSchema.typeName}`;

/** Trailers that end a call: status 0 without an error. */
export function statusTrailers(error: GmqError | undefined): Record<string, string> {
  if (error === undefined) return { "grpc-status": "0" };
  const status = statusNumbers[errorTable[error.code].status];
  return {
    "grpc-status": String(status),
    "grpc-message": encodeURIComponent(error.message),
    "grpc-status-details-bin": Buffer.from(encodeStatus(status, error)).toString("base64"),
  };
}

/** The error that trailers (or headers of a trailers-only answer) tell; undefined for status 0. */
export function errorOfTrailers(
  trailers: Readonly<Record<string, string | string[] | number | undefined>>,
): GmqError | undefined {
  const status = Number(trailers["grpc-status"]);
  if (status === 0) return undefined;
  const details = trailers["grpc-status-details-bin"];
  const detailed = typeof details === "string" ? decodeDetails(Buffer.from(details, "base64")) : undefined;
  if (detailed !== undefined) return detailed;
  const text = trailers["grpc-message"];
  return new GmqError(
    codeOfStatus(status),
    typeof text === "string" ? decodeText(text) : `the call ended with gRPC status ${status}`,
  );
}

function encodeStatus(status: number, error: GmqError): Uint8Array {
  const { code, message, retryable, field, limit } = error;
  const detail = toBinary(ErrorSchema, create(ErrorSchema, { code, message, retryable, field, limit }));
  const any = new BinaryWriter().uint32(0x0a).string(detailsType).uint32(0x12).bytes(detail).finish();
  return new BinaryWriter().uint32(0x08).int32(status).uint32(0x12).string(message).uint32(0x1a).bytes(any).finish();
}

function decodeDetails(bytes: Uint8Array): GmqError | undefined {
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field !== 3 || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, field);
        continue;
      }
      const error = decodeDetail(reader.bytes());
      if (error !== undefined) return error;
    }
    return undefined;
  } catch (cause) {
    return new GmqError("malformed_frame", "the status details of a call could not be read", {
      field: "grpc-status-details-bin",
      cause,
    });
  }
}

function decodeDetail(any: Uint8Array): GmqError | undefined {
  const reader = new BinaryReader(any);
  let type = "";
  let value: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) type = reader.string();
    else if (field === 2) value = reader.bytes();
    else reader.skip(wireType, field);
  }
  if (value === undefined || !type.endsWith(ErrorSchema.typeName)) return undefined;
  return errorFromMessage(fromBinary(ErrorSchema, value));
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a peer that does not percent-encode: its text as it came
  }
}
