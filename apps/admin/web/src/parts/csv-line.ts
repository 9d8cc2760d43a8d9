/** A line of RFC 4180: CRLF, and quotes around whatever holds a comma, a quote or a line break. */
export function csvLine(fields: readonly string[]): string {
  return `${fields.map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",")}\r\n`;
}
