// Exit 0 when the app on GMQ_HEALTH_PORT lives (GET /healthz), else 1 with the reason. GMQ_HEALTH_PATH=/readyz asks for readiness instead.
// With GMQ_TLS_CERT the app speaks TLS: it is asked by its own certificate, which is not checked, as it is this container that answers.
import { readFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get as getTls } from "node:https";

const {
  GMQ_HEALTH_PORT: port = "50051",
  GMQ_HEALTH_PATH: path = "/healthz",
  GMQ_TLS_CERT: cert,
  GMQ_TLS_KEY: key,
} = process.env;
const url = `${cert === undefined ? "http" : "https"}://127.0.0.1:${port}${path}`;

function fail(reason) {
  console.error(`${url}: ${reason}`);
  process.exit(1);
}

try {
  const tls =
    cert === undefined || key === undefined
      ? {}
      : { cert: readFileSync(cert), key: readFileSync(key), rejectUnauthorized: false };
  const request = (cert === undefined ? getPlain : getTls)(
    url,
    { ...tls, agent: false, timeout: 2_000 },
    (response) => {
      if (response.statusCode !== 200) fail(`HTTP status ${response.statusCode}`);
      response.resume();
    },
  );
  request.on("timeout", () => fail("no answer in 2 s"));
  request.on("error", ({ message }) => fail(message));
} catch (error) {
  fail(error instanceof Error ? error.message : error);
}
