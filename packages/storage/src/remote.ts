/** @gmq/storage/remote: the engine interface over storage services. */
export { createRemoteEngine, type RemoteEngineOptions } from "./remote/remote-engine.js";
