// Exit 0 when the app on GMQ_HEALTH_PORT lives (GET /healthz), else 1 with the reason. GMQ_HEALTH_PATH=/readyz asks for readiness instead.
const path = process.env.GMQ_HEALTH_PATH ?? "/healthz";
const url = `http://127.0.0.1:${process.env.GMQ_HEALTH_PORT ?? "50051"}${path}`;
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
} catch (error) {
  console.error(`${url}: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
