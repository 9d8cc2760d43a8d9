/** Notes in the JSON report which tests passed on a second try only; scripts/test-summary.mjs names them. */
import { afterEach } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    triedAgain?: boolean;
  }
}

afterEach(({ task }) => {
  if ((task.result?.retryCount ?? 0) > 0) task.meta.triedAgain = true;
});
