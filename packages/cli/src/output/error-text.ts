import type { GmqError } from "@gmq/protocol";

/** An error as one line for people: what happened, then the code, the field and the limit as far as the text does not say them. */
export function errorText({ message, code, field, limit }: GmqError): string {
  const facts: string[] = [code];
  if (field !== "") facts.push(`field ${field}`);
  if (limit !== "" && !message.includes(limit)) facts.push(`limit ${limit}`);
  return `${message.replaceAll(/\s*\n\s*/g, " ")} (${facts.join(", ")})`;
}

/** An error as `--json` prints it; `field` and `limit` are left out when there is none. */
export function errorFields({ code, message, retryable, field, limit }: GmqError): object {
  return { code, message, retryable, ...(field === "" ? {} : { field }), ...(limit === "" ? {} : { limit }) };
}
