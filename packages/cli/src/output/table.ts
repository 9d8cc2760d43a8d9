/** A cell of a table; undefined prints as `-`. */
export type Cell = string | number | bigint | undefined;

/** Lays rows out in columns under a header; columns that hold only numbers are aligned right. Ends with a newline. */
export function renderTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(cellText));
  const widths = header.map((name, column) =>
    texts.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), name.length),
  );
  const right = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => ["number", "bigint"].includes(typeof row[column])),
  );
  return [header, ...texts]
    .map((row) =>
      row
        .map((text, column) => (right[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** Lays out name and value pairs, one a line. */
export function renderFields(fields: readonly (readonly [string, Cell])[]): string {
  const width = fields.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}\n`).join("");
}

function cellText(value: Cell): string {
  return value === undefined || value === "" ? "-" : String(value);
}
