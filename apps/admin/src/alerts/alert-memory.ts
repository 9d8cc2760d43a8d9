/**
 * What alerts have to know after a restart, in `<data>/alerts.json`; without a data folder it is in memory. It is written beside the old file and renamed over it,
 * and holds at most what alerts and webhook hold: 5,000 that fire, 200 that are over, 1,000 events.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@gmq/log";
import { z } from "zod";

const alertSchema = z.object({
  rule: z.string(),
  severity: z.enum(["warning", "critical"]),
  subject: z.string(),
  text: z.string(),
  sinceMs: z.number(),
  firedAtMs: z.number(),
  endedAtMs: z.number(),
});

const keptSchema = z.object({
  version: z.literal(1),
  firing: z.array(z.object({ alert: alertSchema, told: z.boolean() })),
  past: z.array(alertSchema),
  waiting: z.array(z.object({ id: z.string(), body: z.string(), untilMs: z.number() })),
});

/** What outlives the portal. Those that do not fire yet are not kept: nobody saw whether they lasted. */
export interface KeptAlerts {
  readonly firing: z.output<typeof keptSchema>["firing"];
  readonly past: z.output<typeof keptSchema>["past"];
  /** Events that the webhook has not taken yet, oldest first. */
  readonly waiting: z.output<typeof keptSchema>["waiting"];
}

/** Keeps it. */
export interface AlertMemory {
  /** True: it outlives the portal. */
  readonly kept: boolean;
  /** What the portal before knew. */
  readonly before: KeptAlerts;
  /** Resolves when what `now` gives is kept, or a later one. A file that cannot be written is logged and tried again with the next change. */
  save(now: () => KeptAlerts): Promise<void>;
}

const nothing: KeptAlerts = { firing: [], past: [], waiting: [] };

/** Opens what is kept; a file that cannot be read is left aside and logged. */
export async function openAlertMemory(data: string | undefined, logger: Logger): Promise<AlertMemory> {
  if (data === undefined) return { kept: false, before: nothing, save: () => Promise.resolve() };
  const path = join(data, "alerts.json");
  let writing: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  async function write(kept: KeptAlerts): Promise<void> {
    try {
      await writeFile(`${path}.new`, JSON.stringify({ version: 1, ...kept }), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      logger.error("alerts cannot be kept", { path, error });
    }
  }

  return {
    kept: true,
    before: await load(path, logger),
    save(now) {
      // However many changes come while one is written: they are one more.
      next ??= writing.then(() => {
        next = undefined;
        return write(now());
      });
      writing = next;
      return next;
    },
  };
}

async function load(path: string, logger: Logger): Promise<KeptAlerts> {
  try {
    return keptSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") logger.warn("alerts cannot be read", { path, error });
    return nothing;
  }
}
