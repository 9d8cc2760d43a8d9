import assert from "node:assert/strict";
import { type ErrorCode, GmqError } from "@gmq/protocol";
import type { AppendOutcome, FetchOutcome, SettleOutcome } from "../engine.js";

/** An error as the suite states it. */
export interface ExpectedError {
  readonly code: ErrorCode;
  /** The refused field; not looked at when left out. */
  readonly field?: string;
}

/** Fails unless it is a GmqError of this code and field. */
export function assertError(error: unknown, { code, field }: ExpectedError): void {
  if (!GmqError.is(error)) assert.fail(`expected a GmqError ${code}, got ${String(error)}`);
  assert.equal(error.code, code, `${error.code}: ${error.message}`);
  if (field !== undefined) assert.equal(error.field, field, `${error.code} names the field ${error.field}`);
}

/** Fails unless the promise rejects so. */
export async function assertRejects(promise: Promise<unknown>, expected: ExpectedError): Promise<void> {
  const outcome = await promise.then(
    () => ({ rejected: false, error: undefined }),
    (error: unknown) => ({ rejected: true, error }),
  );
  if (!outcome.rejected) assert.fail(`expected ${expected.code}, but it was accepted`);
  assertError(outcome.error, expected);
}

/** Fails unless the outcome is a refusal of this code. */
export function assertRefused(
  outcome: AppendOutcome | FetchOutcome | SettleOutcome | undefined,
  expected: ExpectedError,
): void {
  if (outcome === undefined) assert.fail("there is no outcome");
  if (outcome.ok) assert.fail(`expected ${expected.code}, but it was accepted`);
  assertError(outcome.error, expected);
}

/** The outcome of something accepted. */
export function accepted<Outcome extends { readonly ok: boolean }>(
  outcome: Outcome | undefined,
): Extract<Outcome, { readonly ok: true }> {
  if (outcome === undefined) assert.fail("there is no outcome");
  if (!outcome.ok) {
    const { error } = outcome as unknown as { error: GmqError };
    assert.fail(`refused: ${error.code} ${error.field}: ${error.message}`);
  }
  return outcome as Extract<Outcome, { readonly ok: true }>;
}

/** The value; fails when there is none. */
export function present<Value>(value: Value | undefined, what = "value"): Value {
  if (value === undefined) assert.fail(`there is no ${what}`);
  return value;
}
