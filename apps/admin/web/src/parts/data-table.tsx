import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef } from "react";
import { ScrollBox } from "./scroll-box.js";

/** A column of a table. */
export interface Column<Row> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: Row) => ReactNode;
  /** Given: the column sorts by it. */
  readonly sortBy?: (row: Row) => bigint | number | string;
  readonly numeric?: boolean;
  /** Smallest width of the window at which it is shown. */
  readonly from?: "sm" | "md" | "lg";
  readonly grow?: boolean;
  /** With `grow`: where the window is narrow the text takes as many lines as it needs, in place of being cut. Not in tall tables. */
  readonly wraps?: boolean;
}

/** Column and direction, as the address holds them: "lag" or "-lag". */
export type Sort = string;

interface DataTableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row, index: number) => string;
  readonly sort?: Sort;
  readonly onSort?: (sort: Sort) => void;
  readonly empty: ReactNode;
  /** Marks a row, for example the chosen one. */
  readonly isCurrent?: (row: Row) => boolean;
  /** Rows that scroll inside a box of their own height; only what is visible is in the page. */
  readonly tall?: boolean;
}

const rowHeightPx = 37;
const shownFrom = { sm: "max-sm:hidden", md: "max-md:hidden", lg: "max-lg:hidden" };

/** A table with sorting; a long one keeps only its visible rows in the page and still tells how many there are. */
export function DataTable<Row>(props: DataTableProps<Row>): ReactNode {
  const { caption, columns, rows, rowKey, sort, onSort, empty, isCurrent, tall = false } = props;
  const box = useRef<HTMLElement>(null);
  const sorted = useMemo(() => sortRows(rows, columns, sort), [rows, columns, sort]);
  const virtualizer = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeightPx,
    overscan: 12,
    enabled: tall,
  });
  const items = tall ? virtualizer.getVirtualItems() : undefined;
  const before = items?.[0]?.start ?? 0;
  const after = items === undefined ? 0 : virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  const visible = items === undefined ? sorted.map((_, index) => index) : items.map(({ index }) => index);

  if (rows.length === 0) return empty;
  return (
    <ScrollBox ref={box} label={caption} className={tall ? "max-h-[max(20rem,calc(100dvh-15rem))]" : ""}>
      <table aria-rowcount={sorted.length + 1} className="w-full border-collapse text-[13px]">
        <caption className="sr-only">{caption}</caption>
        <thead className="sticky top-0 z-10 bg-panel">
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <HeaderCell key={column.id} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} columns={columns.length} />}
          {visible.map((index) => {
            const row = sorted[index];
            if (row === undefined) return null;
            return (
              <tr
                key={rowKey(row, index)}
                aria-rowindex={index + 2}
                aria-current={isCurrent?.(row) === true ? "true" : undefined}
                className="border-b border-line last:border-0 hover:bg-raised aria-[current=true]:bg-accent-soft"
              >
                {columns.map(({ id, cell, numeric, from, grow, wraps }) => (
                  <td
                    key={id}
                    className={`h-9 px-2 py-1 first:pl-4 last:pr-4 sm:px-3 ${numeric === true ? "text-right whitespace-nowrap tabular-nums" : "text-left"} ${grow === true ? `w-full max-w-0 ${wraps === true ? "sm:truncate max-sm:wrap-anywhere" : "truncate"}` : ""} ${from === undefined ? "" : shownFrom[from]}`}
                  >
                    {cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Spacer height={after} columns={columns.length} />}
        </tbody>
      </table>
    </ScrollBox>
  );
}

function HeaderCell<Row>({
  column,
  sort = "",
  onSort,
}: {
  readonly column: Column<Row>;
  readonly sort: Sort | undefined;
  readonly onSort: ((sort: Sort) => void) | undefined;
}): ReactNode {
  const { id, header, numeric, sortBy, from } = column;
  const direction = sort === id ? "ascending" : sort === `-${id}` ? "descending" : undefined;
  const sortable = sortBy !== undefined && onSort !== undefined;
  // Numbers begin with the largest, words with the first.
  const next = direction === undefined ? (numeric === true ? `-${id}` : id) : direction === "ascending" ? `-${id}` : id;
  return (
    <th
      scope="col"
      aria-sort={sortable ? (direction ?? "none") : undefined}
      className={`h-9 border-b border-line px-2 text-xs first:pl-4 last:pr-4 sm:px-3 font-medium whitespace-nowrap text-muted ${numeric === true ? "text-right" : "text-left"} ${from === undefined ? "" : shownFrom[from]}`}
    >
      {sortable ? (
        <button
          type="button"
          onClick={() => onSort(next)}
          className="inline-flex min-h-6 items-center gap-1 hover:text-ink"
        >
          <span aria-hidden="true" className={numeric === true ? "" : "order-last"}>
            {direction === "ascending" ? "↑" : direction === "descending" ? "↓" : ""}
          </span>
          {header}
        </button>
      ) : (
        header
      )}
    </th>
  );
}

function Spacer({ height, columns }: { readonly height: number; readonly columns: number }): ReactNode {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a spacer holds nothing that could take the focus.
    <tr aria-hidden="true">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

function sortRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: Sort | undefined): readonly Row[] {
  const descending = sort?.startsWith("-") === true;
  const sortBy = columns.find(({ id }) => id === (descending ? sort?.slice(1) : sort))?.sortBy;
  if (sortBy === undefined) return rows;
  return rows.toSorted((left, right) => {
    const [first, second] = descending ? [sortBy(right), sortBy(left)] : [sortBy(left), sortBy(right)];
    return first < second ? -1 : first > second ? 1 : 0;
  });
}
