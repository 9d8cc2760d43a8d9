/** @gmq/storage/embedded: the engine that needs no server. */
export { createEmbeddedEngine, type EmbeddedEngineOptions } from "./embedded/embedded-engine.js";
