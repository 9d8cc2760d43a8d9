#!/usr/bin/env node
// Nothing is imported before the version is known to do: an older Node would fail with a syntax or link error that nobody understands.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`gmq: needs Node.js 22.18 or newer, this is ${process.versions.node}\n`);
  process.exit(1);
}
const { runCli } = await import("./program.js");
const { createProcessTerminal } = await import("./terminal.js");

const terminal = createProcessTerminal();
process.exitCode = await runCli(process.argv.slice(2), terminal);
terminal.close();

export {};
