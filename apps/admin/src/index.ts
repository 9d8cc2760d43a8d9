/** The portal as a program, for those who embed it. */
export {
  type AdminConfig,
  adminConfigOptions,
  adminSchema,
  portalAccessFields,
  portalAccessFlags,
  portalBehaviour,
  portalFlags,
} from "./config.js";
export {
  type AdminOptions,
  openPortalSecurity,
  type PortalSecurity,
  type RunningAdmin,
  serveAdmin,
  startAdmin,
} from "./start-admin.js";
