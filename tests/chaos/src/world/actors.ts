/** Producers and consumers of a run, as child processes. */
import { join } from "node:path";
import { type ProcessExit, startProcess, type TestProcess } from "@gmq/e2e/harness/child-process";
import type { ConsumerSpec, ProducerSpec } from "../actors/spec.ts";
import { bugEnvironment } from "./world.ts";

/** A child process and what it is. */
export interface Actor {
  readonly name: string;
  readonly kind: "producer" | "consumer";
  readonly process: TestProcess;
  /** True from when it is killed or asked to end. */
  gone: boolean;
  tell(command: string): void;
}

type Spec = { readonly producer: ProducerSpec; readonly consumer: ConsumerSpec };

/** Starts an actor; it counts when it has connected. `stormMembers`: that many consumers that join, stay a little and leave by themselves. */
export function startActor<Kind extends keyof Spec>(
  kind: Kind,
  spec: Spec[Kind],
  bug?: string,
  stormMembers = 0,
): Actor {
  const file = stormMembers > 0 ? "storm-child.ts" : `${kind}-child.ts`;
  const child = startProcess({
    name: spec.name,
    command: process.execPath,
    args: [join(import.meta.dirname, "../actors", file), JSON.stringify(spec), String(stormMembers)],
    env: bugEnvironment(bug),
  });
  return {
    name: spec.name,
    kind,
    process: child,
    gone: false,
    tell: (command) => child.write(`${command}\n`),
  };
}

/** Waits until it works. */
export async function whenUp(actor: Actor): Promise<void> {
  await actor.process.waitForOutput(/producing|consuming/, 60_000);
}

/** Asks it to end in order, and waits. @throws when it does not within `timeoutMs`, or ends otherwise */
export async function endActor(actor: Actor, timeoutMs: number): Promise<void> {
  actor.gone = true;
  actor.tell("end");
  const late = new Promise<"late">((resolve) => setTimeout(resolve, timeoutMs, "late").unref());
  const exit: ProcessExit | "late" = await Promise.race([actor.process.exited, late]);
  if (exit !== "late" && exit.code === 0) return;
  await actor.process.kill();
  throw new Error(`${actor.name} did not end in order (${JSON.stringify(exit)}):\n${actor.process.output()}`);
}
