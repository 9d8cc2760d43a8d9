import { type MouseEvent, type ReactNode, useRef, useState } from "react";
import type { Column } from "./data-table.js";

/** Rows that are chosen by a box each; with Shift all up to the last one that was changed. */
export interface SelectedRows<Row> {
  readonly chosen: ReadonlySet<string>;
  readonly column: Column<Row>;
  readonly rows: readonly Row[];
  chooseAll(): void;
  clear(): void;
}

/** Keeps the choice among rows; rows that go are not chosen any more. */
export function useSelectedRows<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  labelOf: (row: Row) => string,
): SelectedRows<Row> {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const last = useRef<string>(undefined);

  function toggle(row: Row, isOn: boolean, toLast: boolean): void {
    const next = new Set(chosen);
    const keys = rows.map(keyOf);
    const at = keys.indexOf(keyOf(row));
    const from = toLast && last.current !== undefined ? keys.indexOf(last.current) : at;
    const [low, high] = from < 0 ? [at, at] : [Math.min(at, from), Math.max(at, from)];
    for (const key of keys.slice(low, high + 1)) {
      if (isOn) next.add(key);
      else next.delete(key);
    }
    last.current = keyOf(row);
    setChosen(next);
  }

  return {
    chosen,
    rows: rows.filter((row) => chosen.has(keyOf(row))),
    chooseAll: () => setChosen(new Set(rows.map(keyOf))),
    clear: () => setChosen(new Set()),
    column: {
      id: "choose",
      header: "Select",
      cell: (row): ReactNode => (
        <input
          type="checkbox"
          className="size-5 align-middle"
          aria-label={`Select ${labelOf(row)}`}
          checked={chosen.has(keyOf(row))}
          onClick={(event: MouseEvent<HTMLInputElement>) => toggle(row, event.currentTarget.checked, event.shiftKey)}
          onChange={() => undefined}
        />
      ),
    },
  };
}
