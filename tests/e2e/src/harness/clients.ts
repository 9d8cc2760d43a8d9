/** Two clients of one deployment, for tests that hold on every deployment. */
import { connect, type Gmq } from "@gmq/client";
import { afterAll, beforeAll } from "vitest";
import type { Topology } from "./topologies.js";

export interface Clients {
  readonly topology: Topology;
  readonly gmq: Gmq;
  /** From the other end of the list: at another broker where there are two. */
  readonly other: Gmq;
}

/** Starts a deployment and connects both before the tests of this `describe`, and ends all of it after them. */
export function useClients(start: () => Promise<Topology>): Clients {
  let clients: Clients | undefined;
  /** What is up, the youngest first. */
  const ends: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const topology = await start();
    ends.unshift(() => topology.stop());
    const gmq = await connect({ brokers: topology.brokers });
    ends.unshift(() => gmq.close());
    const other = await connect({ brokers: topology.brokers.toReversed() });
    ends.unshift(() => other.close());
    clients = { topology, gmq, other };
  }, 60_000);
  afterAll(async () => {
    for (const end of ends.splice(0)) await end();
  });

  function started(): Clients {
    if (clients === undefined)
      throw new Error("the deployment of these tests is not up outside of their hooks and bodies");
    return clients;
  }

  return {
    get topology() {
      return started().topology;
    },
    get gmq() {
      return started().gmq;
    },
    get other() {
      return started().other;
    },
  };
}
