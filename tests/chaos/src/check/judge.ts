import type { Witnessed } from "../history/journal.ts";
import { bounded, told } from "./call-promises.ts";
import { attempts, delivered, orderedAtHandlers } from "./delivery-promises.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { ackedIsKept, orderedInLog, storedOnce } from "./log-promises.ts";
import { buildModel } from "./model.ts";
import { oneOwner } from "./owner-promises.ts";
import { deadLetteredOnce, delayed, expired, retained } from "./verb-promises.ts";
import type { Violation } from "./violation.ts";

/** What a history comes to. */
export interface Judgement {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
}

/** Resident bytes of one process; with 2 brokers, 100,000 records of 100 bytes and windows of 16 MiB a healthy one stays far below. */
const memoryBytesMax = 768 * 2 ** 20;

/** Holds a history against every promise. */
export function judge(history: Iterable<Witnessed>): Judgement {
  const model = buildModel(history);
  const violations = [
    ...ackedIsKept(model),
    ...storedOnce(model),
    ...orderedInLog(model),
    ...(model.shared ? [] : orderedAtHandlers(model)),
    ...delivered(model),
    ...attempts(model),
    ...deadLetteredOnce(model),
    ...delayed(model),
    ...expired(model),
    ...retained(model),
    ...(model.shared ? [] : oneOwner(model)),
    ...bounded(model, memoryBytesMax),
    ...told(model),
  ];
  return { violations, figures: figuresOf(model, violations) };
}
