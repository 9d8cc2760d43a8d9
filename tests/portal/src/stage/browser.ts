/** A real browser: Debian's chromium, driven by playwright-core. */
import { rm } from "node:fs/promises";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { type BrowserContext, chromium, type Page } from "playwright-core";

/** A browser of one test file. */
export interface TestBrowser {
  readonly context: BrowserContext;
  /** A new tab; what it logs as an error, or throws, fails `problems`. */
  open(url: string): Promise<Page>;
  /** Errors of all pages so far: console errors, uncaught exceptions, blocked by the pages' policy. */
  problems(): readonly string[];
  /** Forgets them: a test that breaks something on purpose expects some. */
  forgetProblems(): void;
  close(): Promise<void>;
}

export interface BrowserOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  readonly scale?: number;
}

/** Starts it with an empty profile. `GMQ_TEST_CHROMIUM` names another binary than /usr/bin/chromium. */
export async function startBrowser(options: BrowserOptions = {}): Promise<TestBrowser> {
  const folder = await temporaryFolder();
  const problems: string[] = [];
  const context = await chromium.launchPersistentContext(folder.path, {
    executablePath: process.env["GMQ_TEST_CHROMIUM"] ?? "/usr/bin/chromium",
    headless: true,
    viewport: { width: options.width ?? 1280, height: options.height ?? 900 },
    deviceScaleFactor: options.scale ?? 1,
    colorScheme: options.scheme ?? "light",
    reducedMotion: "reduce",
    locale: "en-GB",
    timezoneId: "UTC",
    acceptDownloads: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
  context.setDefaultTimeout(60_000);
  const watch = (page: Page): void => {
    page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(`console: ${message.text()}`);
    });
  };
  context.on("page", watch);
  return {
    context,
    async open(url) {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    problems: () => problems,
    forgetProblems: () => problems.splice(0),
    async close() {
      await context.close();
      await rm(folder.path, { recursive: true, force: true });
    },
  };
}
