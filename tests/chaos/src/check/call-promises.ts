/** told and bounded. */
import { isErrorCode } from "@gmq/protocol";
import type { Model } from "./model.ts";
import type { Violation } from "./violation.ts";

/** told: one answer for each call of a process that ended by itself; only documented errors; what was refused is not in the log. */
export function told(model: Model): Violation[] {
  const broken: Violation[] = model.stray.map((text) => ({ promise: "told", text }));
  const kept = new Set(model.kept.map(({ id }) => id));
  for (const call of model.sent.values()) {
    if (call.answers > 1 || (call.answers === 0 && model.ended.has(call.by)))
      broken.push({ promise: "told", text: `${call.by} sent ${call.id} and got ${call.answers} answers` });
    if (call.outcome === undefined || call.outcome.as === "stored") continue;
    if (!isDocumented(call.outcome.code))
      broken.push({ promise: "told", text: `${call.by}: ${call.id} failed with ${call.outcome.code}` });
    if (call.outcome.as === "refused" && kept.has(call.id))
      broken.push({
        promise: "told",
        text: `${call.by}: ${call.id} was refused (${call.outcome.code}) and is in the log`,
      });
  }
  for (const id of kept)
    if (!model.sent.has(id)) broken.push({ promise: "told", text: `${id} is in the log and was never sent` });
  for (const [place, runs] of model.deliveries) {
    for (const { by, settle } of runs) {
      if (settle === undefined) continue;
      if (settle.answer === undefined && model.ended.has(by))
        broken.push({ promise: "told", text: `${by} settled ${place} and got no answer` });
      else if (settle.answer?.ok === false && !isDocumented(settle.answer.code))
        broken.push({ promise: "told", text: `${by}: the settlement of ${place} failed with ${settle.answer.code}` });
    }
  }
  return broken;
}

/** `internal` is in the table for what nobody foresaw; a fault that leads there is a bug. */
function isDocumented(code: string): boolean {
  return isErrorCode(code) && code !== "internal";
}

/** bounded: no process of GMQ grows past this many bytes. */
export function bounded({ memory }: Model, bytesMax: number): Violation[] {
  const worst = new Map<string, number>();
  for (const { process, bytes } of memory) worst.set(process, Math.max(bytes, worst.get(process) ?? 0));
  return Array.from(worst)
    .filter(([, bytes]) => bytes > bytesMax)
    .map(([process, bytes]) => ({
      promise: "bounded",
      text: `${process} took ${Math.round(bytes / 2 ** 20)} MiB, more than ${Math.round(bytesMax / 2 ** 20)}`,
    }));
}
