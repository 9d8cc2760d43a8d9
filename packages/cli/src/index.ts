/** @gmq/cli: the `gmq` command line as a function, for tests and for embedding. */
export { type ExitCode, exitCodes } from "./exit-codes.js";
export { runCli } from "./program.js";
export { createProcessTerminal, type Terminal } from "./terminal.js";
