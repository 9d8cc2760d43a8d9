/** @gmq/service: what every deployable shares: configuration, one port, health, reflection, lifecycle. */
export { type Access, openAccess } from "./access/access.js";
export { claim, claimWords } from "./access/claims.js";
export { readDocument } from "./access/read-document.js";
export { sharedTokenAccess } from "./access/shared-token.js";
export type { Authenticate, CallHeaders } from "./admit.js";
export type { FlagOptions } from "./config-fields.js";
export type { Routes } from "./connect-requests.js";
export type { RefusedConnections } from "./connection-admission.js";
export { countedAddress } from "./counted-address.js";
export { createHealth, type Health, healthPages, healthRoutes } from "./health.js";
export { limitFields, limitFlags, listenLimits } from "./limit-settings.js";
export { type Listener, type ListenLimits, type ListenOptions, listen } from "./listen.js";
export { type Config, type ConfigOptions, loadConfig } from "./load-config.js";
export { type Closers, openInTurn } from "./open-in-turn.js";
export {
  openPeer,
  openSecret,
  type Peer,
  type PeerConfig,
  peerFields,
  peerFlags,
  type Secret,
} from "./peer-security.js";
export type { PlainHttp, PlainRequest, PlainResponse } from "./plain-http.js";
export {
  isLoopbackHost,
  isSafeUrl,
  judgeSecretInTheClear,
  openPort,
  type PortConfig,
  type PortSecurity,
  portFields,
  portFlags,
} from "./port-security.js";
export { reflectionRoutes } from "./reflection.js";
export { type RunningService, type RunServiceOptions, runService, type ServiceHost } from "./run-service.js";
export {
  type Address,
  addressField,
  drainTimeoutField,
  logLevelField,
  originsField,
  originsOf,
  packageVersion,
  parseAddress,
} from "./settings.js";
export { type ClientTls, openClientTls } from "./tls/client-tls.js";
export type { ServerTls } from "./tls/server-tls.js";
export { watchFiles } from "./watch-files.js";
export { watchReadiness } from "./watch-readiness.js";
