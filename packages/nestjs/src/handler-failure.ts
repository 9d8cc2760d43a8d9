/**
 * Nest's exception filter answers an unknown error with `{ status: "error", message: "Internal server error" }`: right for a caller, useless for a dead letter. The interceptor
 * keeps what was thrown, so that the transport retries or rejects with the error itself.
 */
import { Reject } from "@gmq/client";
import type { CallHandler, ExecutionContext, NestInterceptor } from "@nestjs/common";
import { catchError, type Observable } from "rxjs";

const thrown = new WeakMap<object, unknown>();

/** Keeps what a handler (or a pipe before it) throws. Filters see it as ever. */
export const failureKeeper: NestInterceptor = {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const context = execution.switchToRpc().getContext<object>();
    return next.handle().pipe(
      catchError((error: unknown) => {
        thrown.set(context, error);
        throw error;
      }),
    );
  },
};

/** What made a handler fail, of what came out of Nest: an Error that a filter answered with, else what the handler threw, else an Error of the answer's text. */
export function failureOf(answer: unknown, context: object): Error {
  if (answer instanceof Error || Reject.is(answer)) return answer;
  const kept = thrown.get(context);
  if (kept instanceof Error) return kept;
  return new Error(messageOf(kept ?? answer), { cause: answer });
}

/** True when Nest has put its own text in place of the error, and nothing kept it. */
export function isHidden(answer: unknown, context: object): boolean {
  return !thrown.has(context) && !(answer instanceof Error) && messageOf(answer) === "Internal server error";
}

function messageOf(answer: unknown): string {
  if (typeof answer === "string") return answer;
  const message = typeof answer === "object" && answer !== null && "message" in answer ? answer.message : undefined;
  return typeof message === "string" ? message : (JSON.stringify(answer) ?? String(answer));
}
