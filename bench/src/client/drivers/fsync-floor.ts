/** The floor of a durable append: the same bytes to a file and fdatasync, everything that waits in one flush (group commit). */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { OpenDriver } from "../driver.ts";

export const openFsyncFloor: OpenDriver = async ({ addresses }) => {
  const file = await open(join(addresses.folder, "floor.log"), "w");
  let waiting: { readonly payloads: readonly Uint8Array[]; resolve(): void; reject(error: unknown): void }[] = [];
  let running = false;

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const turn = waiting;
      waiting = [];
      try {
        await file.writev(turn.flatMap(({ payloads }) => payloads));
        await file.datasync();
        for (const { resolve } of turn) resolve();
      } catch (error) {
        for (const { reject } of turn) reject(error);
      }
    }
    running = false;
  }

  function append(payloads: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      waiting.push({ payloads, resolve, reject });
      if (!running) setImmediate(() => running || void run());
    });
  }

  return {
    async createProducer() {
      return { sendBatch: (payloads) => append([Buffer.concat(payloads)]), send: (payload) => append([payload]) };
    },
    async consume() {
      throw new Error("the fsync floor has no consumers");
    },
    close: () => file.close(),
  };
};
