/** Alerts that nobody is to be told of for a while, in `<data>/silences.json`; without a data folder they are in memory. */
import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { z } from "zod";

const silenceSchema = z.object({
  silenceId: z.string(),
  /** "" is any. */
  rule: z.string(),
  subject: z.string(),
  untilMs: z.number(),
  reason: z.string(),
  actor: z.string(),
  createdAtMs: z.number(),
});

/** One of them. */
export type Silence = Readonly<z.output<typeof silenceSchema>>;

/** The silences that are not over. */
export interface Silences {
  /** True: they outlive the portal. */
  readonly kept: boolean;
  list(nowMs: number): readonly Silence[];
  /** The one that covers an alert, the longest of them. */
  covering(rule: string, subject: string, nowMs: number): Silence | undefined;
  /** @throws GmqError `resource_exhausted` */
  add(silence: Omit<Silence, "silenceId">): Promise<Silence>;
  /** @throws GmqError `invalid_argument` */
  end(silenceId: string): Promise<void>;
}

const silencesMax = 200;

/** Opens what is kept; a file that cannot be read is left aside and logged. */
export async function openSilences(data: string | undefined, logger: Logger): Promise<Silences> {
  const path = data === undefined ? undefined : join(data, "silences.json");
  let silences: readonly Silence[] = path === undefined ? [] : await load(path, logger);
  let saving: Promise<void> = Promise.resolve();

  const list = (nowMs: number): readonly Silence[] => silences.filter(({ untilMs }) => untilMs > nowMs);

  /** Kept first, then true: what was answered survives the portal. One after the other. */
  function change(next: () => readonly Silence[]): Promise<void> {
    const saved = saving.then(async () => {
      const changed = next();
      if (path !== undefined) {
        await writeFile(`${path}.new`, JSON.stringify(changed), { mode: 0o600 });
        await rename(`${path}.new`, path);
      }
      silences = changed;
    });
    saving = saved.catch(() => undefined);
    return saved;
  }

  return {
    kept: path !== undefined,
    list,
    covering(rule, subject, nowMs) {
      return list(nowMs)
        .filter((one) => (one.rule === "" || one.rule === rule) && (one.subject === "" || one.subject === subject))
        .toSorted((one, other) => other.untilMs - one.untilMs)[0];
    },
    async add(asked) {
      const silence = { ...asked, silenceId: randomUUID() };
      await change(() => {
        const current = list(asked.createdAtMs);
        if (current.length >= silencesMax) {
          throw new GmqError("resource_exhausted", "too many alerts are silenced", {
            limit: `${silencesMax} silences`,
          });
        }
        return [...current, silence];
      });
      return silence;
    },
    async end(silenceId) {
      await change(() => {
        if (!silences.some((one) => one.silenceId === silenceId)) {
          throw new GmqError("invalid_argument", `there is no silence ${silenceId}`, { field: "silence_id" });
        }
        return silences.filter((one) => one.silenceId !== silenceId);
      });
    },
  };
}

async function load(path: string, logger: Logger): Promise<readonly Silence[]> {
  try {
    return z.array(silenceSchema).parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") logger.warn("silences cannot be read", { path, error });
    return [];
  }
}
