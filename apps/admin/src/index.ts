/** The portal as a program, for those who embed it. */
export { type AdminConfig, adminConfigOptions, adminSchema, portalBehaviour, portalFlags } from "./config.js";
export { type AdminOptions, type RunningAdmin, startAdmin } from "./start-admin.js";
