/** What makes the three ports of one process safe, opened before anything listens. */
import { type AdminOptions, openPortalSecurity, type PortalSecurity } from "@gmq/app-admin";
import { openBrokerPort } from "@gmq/app-broker";
import { openStoragePort } from "@gmq/app-storage";
import type { Logger } from "@gmq/log";
import { createToken } from "@gmq/protocol/secrets";
import type { Authenticate, PortSecurity } from "@gmq/service";
import { anybody, type Caller } from "@gmq/transport";
import type { StandaloneConfig } from "./config.js";

/** The security of each part. */
export interface Ports {
  readonly broker: PortSecurity;
  readonly storage: PortSecurity;
  readonly portal: PortalSecurity;
  close(): void;
}

/** The portal of this process needs no files to call the broker of this process. */
export const noPeerFiles = {
  brokerCa: undefined,
  brokerCert: undefined,
  brokerKey: undefined,
  brokerToken: undefined,
  brokerTokenFile: undefined,
};

/** Opens certificates and access files. @throws GmqError `invalid_argument` naming the wrong file */
export function openPorts(config: StandaloneConfig, portal: AdminOptions, logger: Logger): Ports {
  const closers: (() => void)[] = [];
  const close = (): void => {
    for (const one of closers.splice(0)) one();
  };
  try {
    const broker = openBrokerPort(config, logger);
    closers.push(broker.close);
    const storage = openStoragePort(config.storageAddr, config, logger, config.accessFile !== undefined);
    closers.push(storage.close);
    const own = openPortalSecurity(portal, logger);
    closers.push(own.close);
    const token = createToken();
    const tls = broker.tls;
    const tlsLive =
      tls === undefined
        ? undefined
        : {
            // The broker is this process: it is known by its very certificate, whatever names that bears.
            get ca() {
              return tls.material.cert;
            },
            get cert() {
              return tls.material.cert;
            },
            get key() {
              return tls.material.key;
            },
            allowPartialTrustChain: true,
            checkServerIdentity: () => undefined,
          };
    return {
      broker: { ...broker, authenticate: withPortal(broker.authenticate, token) },
      storage,
      portal: { ...own, peer: { tlsLive, token: () => token } },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Lets the portal of this process in, by a token that nobody else has and that ends with the process. */
function withPortal(authenticate: Authenticate | undefined, token: string): Authenticate | undefined {
  if (authenticate === undefined) return undefined;
  const portal: Caller = { ...anybody, name: "gmq portal" };
  const header = `Bearer ${token}`;
  return (call) => (call.headers.authorization === header ? portal : authenticate(call));
}
