/** GMQ in one process, for those who embed it. */
export { type StandaloneConfig, standaloneConfigOptions, standaloneSchema } from "./config.js";
export { type RunningStandalone, startStandalone } from "./start-standalone.js";
