import { quote } from "../parts/copy-as.js";
import { fromOf, type MessagesSearch, partitionsOf } from "./scan-query.js";

/** The search of the page as options of `gmq browse` and `gmq republish`; undefined: an expression is evaluated by the portal only. */
function optionsOf({ cel, key, q, ...search }: MessagesSearch): string[] | undefined {
  if (cel !== undefined && cel !== "") return undefined;
  return [
    ...placeOf(search),
    ...partitionsOf(search).map((partition) => `--partition ${partition}`),
    ...(key === undefined ? [] : [`--key ${quote(key)}`]),
    ...(q === undefined ? [] : [`--contains ${quote(q)}`]),
  ];
}

function placeOf(search: MessagesSearch): string[] {
  const at = /^\d{1,19}$/.test(search.at ?? "") ? (search.at ?? "") : undefined;
  if (at === undefined) return [];
  if (fromOf(search) === "offset") return [`--from ${at}`];
  return fromOf(search) === "time" ? [`--from ${new Date(Number(at)).toISOString()}`] : [];
}

/** Writes what the page finds into a file that `gmq publish --format records` and the portal take. */
export function exportCommand(topic: string, search: MessagesSearch, recordsMax: number): string | undefined {
  const options = optionsOf(search);
  if (options === undefined) return undefined;
  const newest = fromOf(search) === "newest" ? ["--newest"] : [];
  return `gmq browse ${[quote(topic), ...newest, ...options, `--limit ${recordsMax}`].join(" ")} --format records > ${quote(`${topic}.ndjson`)}`;
}

/** Copies what the page finds. */
export function republishCommand(
  topic: string,
  search: MessagesSearch,
  { toTopic, ratePerSecond, republishesMax }: { toTopic: string; ratePerSecond: number; republishesMax: number },
): string | undefined {
  const options = optionsOf(search);
  if (options === undefined) return undefined;
  const rate = ratePerSecond === 0 ? [] : [`--rate ${ratePerSecond}`];
  return `gmq republish ${[quote(topic), `--to ${quote(toTopic)}`, ...options, ...rate].join(" ")} --max-republishes ${republishesMax}`;
}
