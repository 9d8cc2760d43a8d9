/** The two services that the portal offers its pages, and what their errors mean. */
import { isMessage } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AdminService, type Error as ErrorMessage, ErrorSchema, PortalService } from "@gmq/protocol/messages";
import { loggedOut } from "./access/access-store.js";

const noticeLogout: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unauthenticated) loggedOut();
    throw error;
  }
};
const transport = createConnectTransport({
  baseUrl: globalThis.location.origin,
  useBinaryFormat: true,
  interceptors: [noticeLogout],
});

export const admin: Client<typeof AdminService> = createClient(AdminService, transport);
export const portal: Client<typeof PortalService> = createClient(PortalService, transport);

/** A failed call, for people. */
export interface Problem {
  /** A code of docs/errors.md, or "unreachable" when the portal itself does not answer. */
  readonly code: string;
  readonly message: string;
  /** The refused field, "" when none. */
  readonly field: string;
  readonly limit: string;
}

/** What to say of a failure. */
export function problemOf(error: unknown): Problem {
  if (isMessage(error, ErrorSchema)) return partsOf(error);
  const connectError = ConnectError.from(error);
  const detail = connectError.findDetails(ErrorSchema)[0];
  if (detail !== undefined) return partsOf(detail);
  return {
    code: "unreachable",
    message: `The portal does not answer (${connectError.rawMessage}).`,
    field: "",
    limit: "",
  };
}

function partsOf({ code, message, field, limit }: ErrorMessage): Problem {
  return { code, message, field, limit };
}
