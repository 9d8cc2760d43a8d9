import type { Command } from "commander";
import { expect, it } from "vitest";
import { createProgram } from "./program.js";
import type { Terminal } from "./terminal.js";

/** Commands that do something, with the words that call them. */
function leavesOf(command: Command, words: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[words.join(" "), command]];
  return command.commands.flatMap((one) => leavesOf(one, [...words, one.name()]));
}

it("has for each command a page of help with an example that calls it", () => {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  const stream = { write } as unknown as Terminal["stdout"];
  const program = createProgram({ terminal: { stdout: stream, stderr: stream } as Terminal, exit: () => undefined });
  const leaves = leavesOf(program);
  expect(leaves.length).toBeGreaterThan(20);
  for (const [words, command] of leaves) {
    text = "";
    command.outputHelp();
    expect(text, words).toContain(`Usage: gmq ${words}`);
    const example = new RegExp(`Examples?:\\n[^]*?(gmq ${words}.*)`).exec(text)?.[1];
    expect(example, words).toBeDefined();
    for (const { mandatory, long } of command.options) if (mandatory) expect(example).toContain(long);
  }
});
