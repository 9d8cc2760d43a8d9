/** @gmq/storage: the engine interface. Engines: `@gmq/storage/redis`, `/embedded`, `/remote`; the service: `@gmq/storage/service`. */
export { claimWhole } from "./claim-whole.js";
export { type DeskOwnership, deskOwnerships } from "./coordinator/desks.js";
export { fenceToldMs } from "./coordinator/fences.js";
export type * from "./engine.js";
export { pagesOf } from "./pages-of.js";
