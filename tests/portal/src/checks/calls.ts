/** Calls of the portal's services as JSON, as curl makes them. */
export async function call<T>(
  base: string,
  method: string,
  request: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const response = await fetch(`${base}/gmq.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(request),
  });
  const body = (await response.json()) as T & { code?: string; message?: string };
  if (!response.ok) throw new Error(`${method}: ${response.status} ${body.code} ${body.message}`);
  return body;
}
