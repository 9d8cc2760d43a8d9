export { batchOf } from "../src/conformance/batches.js";
