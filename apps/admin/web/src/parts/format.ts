const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A whole number with separators, exact at any size. */
export function formatCount(value: bigint | number): string {
  return whole.format(value);
}

/** A number short enough for a heading, for example "12.4K"; exact below 10,000. */
export function formatShort(value: bigint | number): string {
  return value < 10_000 ? whole.format(value) : compact.format(value);
}

/** "0", "3.2", "1,204". */
export function formatRate(perSecond: number): string {
  return Math.abs(perSecond) < 100 ? oneDigit.format(perSecond) : whole.format(perSecond);
}

/** "640 B", "1.2 KB". */
export function formatBytes(bytes: bigint | number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? whole.format(value) : oneDigit.format(value)} ${units[unit]}`;
}

/** "450 ms", "12 s", "3 min", "5 h", "2 d". */
export function formatDuration(ms: bigint | number): string {
  const value = Number(ms);
  if (value < 1_000) return `${whole.format(value)} ms`;
  if (value < 120_000) return `${whole.format(value / 1_000)} s`;
  if (value < 7_200_000) return `${whole.format(value / 60_000)} min`;
  if (value < 172_800_000) return `${whole.format(value / 3_600_000)} h`;
  return `${whole.format(value / 86_400_000)} d`;
}

/** "never" for 0, else for example "12 s ago". */
export function formatAgo(atMs: bigint | number, nowMs: number = Date.now()): string {
  if (Number(atMs) === 0) return "never";
  const age = nowMs - Number(atMs);
  return age < 1_000 ? "just now" : `${formatDuration(age)} ago`;
}

/** Local date and time to the millisecond, sortable: "2026-11-24 19:03:07.512". */
export function formatTime(atMs: bigint | number): string {
  const at = new Date(Number(atMs));
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** "1 topic", "2 topics". */
export function counted(count: bigint | number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${Number(count) === 1 ? one : many}`;
}
