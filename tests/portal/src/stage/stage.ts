import { type ServicesOptions, startServices, type Topology } from "@gmq/e2e/harness/topologies";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { type BrowserOptions, startBrowser, type TestBrowser } from "./browser.js";
import { type Seed, seed } from "./seed.js";

/** A seeded deployment on a real Redis, and a browser. */
export interface Stage {
  readonly services: Topology;
  readonly seed: Seed;
  readonly browser: TestBrowser;
  /** Address of a page of the portal. */
  url(path: string): string;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly services?: ServicesOptions;
  readonly browser?: BrowserOptions;
  readonly orders?: number;
  /** Records of `payments` that group `refunds` has given up; default none. */
  readonly deadLetters?: number;
}

/** Starts everything; ends what it started when a part fails to. */
export async function setStage({
  services: servicesOptions,
  browser: browserOptions,
  orders,
  deadLetters = 0,
}: StageOptions = {}): Promise<Stage> {
  // The portal's own, unless a test names one: what it keeps goes with the stage, however its process ends.
  const folder = await temporaryFolder();
  const { adminArgs = [] } = servicesOptions ?? {};
  const data = adminArgs.includes("--data") ? [] : ["--data", folder.path];
  // Its own Redis: some of these tests kill it, and pages list everything that a store holds.
  const services = await startServices({ redis: {}, ...servicesOptions, adminArgs: [...adminArgs, ...data] });
  const endings: (() => Promise<void>)[] = [folder.remove, () => services.stop()];
  const stop = async (): Promise<void> => {
    for (const end of endings.toReversed()) await end();
  };
  try {
    const seeded = await seed(services.brokers, orders === undefined ? { deadLetters } : { orders, deadLetters });
    endings.push(seeded.stop);
    const browser = await startBrowser(browserOptions);
    endings.push(browser.close);
    return { services, seed: seeded, browser, url: (path) => services.adminUrl + path, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
