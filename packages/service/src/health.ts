import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { Health as HealthService, HealthCheckResponse_ServingStatus as ServingStatus } from "@gmq/protocol/grpc";
import { pathOf } from "./connect-requests.js";
import type { PlainHttp } from "./plain-http.js";

/** Whether this process can do its work, and what keeps it from it. */
export interface Health {
  /** Sets what keeps `subject` from working, for example `report("store", "no connection to redis")`; undefined: it works. */
  report(subject: string, problem: string | undefined): void;
  /** True when nothing has a problem. False until `report("start", undefined)`. */
  readonly ready: boolean;
  /** The present problems by subject. */
  readonly problems: ReadonlyMap<string, string>;
  /** How long each subject has had a problem, in ms; what it says of itself may have changed meanwhile. */
  readonly problemsForMs: ReadonlyMap<string, number>;
  /** Not ready from now on, whatever is reported; watchers hear it and are let go, so that the port can close. */
  drain(): void;
  readonly draining: boolean;
  /** Calls `changed` when `ready` or `draining` changes; returns how to stop. */
  watch(changed: () => void): () => void;
}

/** Makes the health of a process that is starting. */
export function createHealth(): Health {
  const problems = new Map<string, string>([["start", "starting"]]);
  const sinceMs = new Map<string, number>([["start", performance.now()]]);
  const watchers = new Set<() => void>();
  let draining = false;

  function setProblem(subject: string, problem: string): void {
    problems.set(subject, problem);
    if (!sinceMs.has(subject)) sinceMs.set(subject, performance.now());
  }

  function change(apply: () => void): void {
    const before = problems.size === 0;
    const drainedBefore = draining;
    apply();
    if (before === (problems.size === 0) && drainedBefore === draining) return;
    for (const changed of [...watchers]) changed();
  }

  return {
    report(subject, problem) {
      change(() => {
        if (problem === undefined) {
          problems.delete(subject);
          sinceMs.delete(subject);
        } else setProblem(subject, problem);
      });
    },
    get ready() {
      return problems.size === 0;
    },
    problems,
    get problemsForMs() {
      const now = performance.now();
      return new Map(Array.from(sinceMs, ([subject, since]) => [subject, Math.round(now - since)]));
    },
    drain() {
      change(() => {
        draining = true;
        setProblem("drain", "going away");
      });
    },
    get draining() {
      return draining;
    },
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };
}

/** `/healthz` (200 while the process answers) and `/readyz` (200, or 503 with the problems and for how long each has been there), as JSON. GET and HEAD only. */
export function healthPages(health: Health): PlainHttp {
  return (request, response) => {
    const path = pathOf(request);
    if (path !== "/healthz" && path !== "/readyz") return false;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" });
      response.end();
      return true;
    }
    const fine = path === "/healthz" || health.ready;
    const body = fine
      ? { status: "ok" }
      : {
          status: health.draining ? "draining" : "not ready",
          problems: Object.fromEntries(health.problems),
          forMs: Object.fromEntries(health.problemsForMs),
        };
    response.writeHead(fine ? 200 : 503, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(request.method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
    return true;
  };
}

/** grpc.health.v1 for the process ("") and for each of these services: all of them share its readiness. */
export function healthRoutes(health: Health, services: readonly DescService[]): (router: ConnectRouter) => void {
  const names = ["", ...services.map(({ typeName }) => typeName)];
  const status = () => (health.ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  return (router) => {
    router.service(HealthService, {
      check({ service }) {
        if (!names.includes(service)) throw new ConnectError(`no service ${JSON.stringify(service)}`, Code.NotFound);
        return { status: status() };
      },
      list: () => ({ statuses: Object.fromEntries(names.map((name) => [name, { status: status() }])) }),
      watch({ service }, context) {
        return watchStatus(health, context, () => (names.includes(service) ? status() : ServingStatus.SERVICE_UNKNOWN));
      },
    });
  };
}

/** The status now and after every change; ends when the process drains or the caller leaves. */
async function* watchStatus(health: Health, context: HandlerContext, status: () => ServingStatus) {
  let wake: (() => void) | undefined;
  const changed = (): void => wake?.();
  const unwatch = health.watch(changed);
  context.signal.addEventListener("abort", changed);
  try {
    for (let told: ServingStatus | undefined; !context.signal.aborted; ) {
      const now = status();
      if (now !== told) {
        told = now;
        yield { status: now };
        continue;
      }
      if (health.draining) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unwatch();
    context.signal.removeEventListener("abort", changed);
  }
}
