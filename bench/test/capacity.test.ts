import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { choices, measured, planFor, sizeFactor } from "../src/capacity/model.ts";
import { placementOf } from "../src/capacity/placement.ts";
import { limitsTable, plansTable, worked } from "../src/capacity/report.ts";

const read = (path: string): string => readFileSync(new URL(`../../docs/${path}`, import.meta.url), "utf8");
const performance = read("performance.md");

/** The row of docs/performance.md that begins so, after the line with this heading when one is named. */
function row(begin: string, heading = ""): string {
  const from = performance.indexOf(heading);
  const line = performance
    .slice(Math.max(0, from))
    .split("\n")
    .find((one) => one.startsWith(begin));
  return line ?? `no row ${begin}`;
}

it("uses figures that stand in docs/performance.md", () => {
  for (const [heading, us] of [
    ["| **W1 publish**", measured.publishUs],
    ["| **W2 drain**", measured.drainUs],
    ["| **W3 in = out**", measured.throughUs],
  ] as const) {
    const cpu = Object.entries(us).map(([part, value]) => `${part} ${value.toFixed(1)}`);
    expect(row("| GMQ |", heading), heading).toContain(cpu.join(", "));
  }
  expect(row("| GMQ |", "| **W1 publish**")).toContain(measured.publishPerS.toLocaleString("en-US"));
  expect(row("| W6,")).toContain(`${measured.fanOutShare} x W2`);
  expect(row("| W7, 100 B")).toContain(measured.smallRecord.perS.toLocaleString("en-US"));
  expect(row("| W7, 4 KiB")).toContain(`${measured.largeRecord.mbPerS} MB/s`);
  expect(row("| W7, 1 MiB")).toContain(`${measured.hugeRecord.mbPerS} MB/s`);
  expect(performance).toContain(
    `records of ${measured.recordBytes} B take ${measured.redisBytesPerRecord} bytes of \`used_memory\` each at batches of 500`,
  );
});

it("docs/scaling.md has the tables that the model computes", () => {
  const tables = { limits: limitsTable(), plans: plansTable() };
  const written = (text: string): string =>
    Object.entries(tables).reduce(
      (page, [name, table]) =>
        page.replace(
          new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`),
          (_all, begin: string, end: string) => `${begin}\n${table}\n\n${end}`,
        ),
      text,
    );
  if (process.env["GMQ_TEST_UPDATE_DOCS"] === "1")
    writeFileSync(new URL("../../docs/scaling.md", import.meta.url), written(read("scaling.md")));
  const page = read("scaling.md");
  for (const table of Object.values(tables)) expect(page).toContain(table);
});

it("docs/scaling.md names what was measured as it is", () => {
  const page = read("scaling.md");
  const { publishPerS, smallRecord, largeRecord, hugeRecord, redisBytesPerRecord, recordBytes, fanOutShare } = measured;
  const perS = (count: number): string => `${count.toLocaleString("en-US")} records/s`;
  expect(page).toContain(`${perS(publishPerS)} published (W1)`);
  expect(page).toContain(
    `${perS(smallRecord.perS)} at 100 B, ${largeRecord.mbPerS} MB/s at 4 KiB, ${hugeRecord.mbPerS} MB/s at 1 MiB`,
  );
  expect(page).toContain(`${redisBytesPerRecord} bytes of Redis' memory`);
  expect(page).toContain(`(bytes + ${redisBytesPerRecord - recordBytes}): ${redisBytesPerRecord} − ${recordBytes}`);
  expect(page).toContain(`of W2 ÷ ${fanOutShare} (W6)`);
});

it("docs/scaling.md says of a hundred million what its table says", () => {
  const [, , brokers, storages] = /(That is) (\d+) brokers, (\d+) storage services/.exec(read("scaling.md")) ?? [];
  const row = (name: string): string | undefined =>
    new RegExp(`\\| all cells: ${name} \\| \\d+ \\| (\\d+) \\|`).exec(read("scaling.md"))?.[1];
  expect([brokers, storages]).toEqual([row("brokers"), row("storage services")]);
});

it("docs/scaling.md names the choices as they are", () => {
  const page = read("scaling.md");
  for (const [name, value] of Object.entries(choices)) {
    expect(page).toMatch(new RegExp(`\\| \`${name}\` \\| ${value.toLocaleString("en-US")} \\|`));
  }
});

it("grows with what is asked for, and never below what a cluster needs", () => {
  const demand = { recordsPerS: 1e6, recordBytes: 512, groups: 1, retentionS: 600 };
  const { cell } = planFor(demand);
  // 1e6 records/s x 0.8 µs = 0.8 cores of brokers, at half a core each 2.
  expect(cell.brokers).toBe(2);
  expect(cell.retainedBytes).toBe(1e6 * 600 * 525);
  expect(planFor({ ...demand, groups: 3 }).cell.brokers).toBeGreaterThan(cell.brokers);
  expect(planFor({ ...demand, recordBytes: 4_096 }).cell.storages).toBeGreaterThan(cell.storages);
  expect(planFor({ ...demand, retentionS: 0 }).cell.mastersBy).not.toBe("memory");
  expect(planFor({ ...demand, recordsPerS: 1 }).cell).toMatchObject({ brokers: 2, storages: 2, masters: 3 });
  expect(planFor({ ...demand, recordsPerS: 1e8, recordBytes: 4_096 }).cell.storages).toBeLessThanOrEqual(
    choices.storagesMax,
  );
});

it("costs by size what was measured at each size, and refuses to guess beyond", () => {
  expect(sizeFactor(512)).toBe(1);
  const { publishPerS, smallRecord, largeRecord } = measured;
  expect(sizeFactor(100)).toBeCloseTo(publishPerS / smallRecord.perS, 6);
  expect(sizeFactor(4_096)).toBeCloseTo(publishPerS / ((largeRecord.mbPerS * 1e6) / 4_096), 6);
  expect(sizeFactor(2_000)).toBeGreaterThan(sizeFactor(512));
  expect(() => sizeFactor(99)).toThrow(RangeError);
  expect(() => sizeFactor(1_048_577)).toThrow(RangeError);
});

it("the busiest process of the worked plans stays below a whole core", () => {
  for (const [, demand] of worked) {
    const { cell } = planFor(demand);
    const { storages, masters } = placementOf(cell);
    expect(storages * choices.coreShare).toBeLessThan(1);
    // Masters are many for their memory: each has this much of it to spare.
    expect(masters * cell.retainedBytes).toBeLessThan(2 * cell.masters * choices.masterBytes);
  }
  // With as many partitions as masters some have none and others several.
  expect(placementOf({ partitions: 52, storages: 52, masters: 48 }).storages).toBeGreaterThan(2);
});
