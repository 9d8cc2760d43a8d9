// Sums the vitest reports of all packages; the last line is the machine-readable result.
import { globSync, readFileSync } from "node:fs";

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const file of globSync([
  "{packages,apps,tests}/*/.reports/vitest.json",
  "{bench,examples,docs}/.reports/vitest.json",
])) {
  const report = JSON.parse(readFileSync(file, "utf8"));
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests;
  totals.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
  // A file that fails to load has no tests: it counts as one failure.
  const broken = report.testResults.filter((it) => it.status === "failed" && it.assertionResults.length === 0);
  totals.failed += broken.length;
  for (const it of report.testResults.filter((it) => it.status === "failed")) console.log(`failed: ${it.name}`);
  for (const it of report.testResults) {
    // What could not run here must not look as if it had.
    if (it.assertionResults.length > 0 && it.assertionResults.every(({ status }) => status === "skipped"))
      console.log(`skipped as a whole: ${it.name}`);
    for (const { fullName, meta, status } of it.assertionResults)
      if (meta?.triedAgain === true && status === "passed")
        console.log(`passed on the second try: ${it.name}: ${fullName}`);
  }
}
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exitCode = totals.failed > 0 ? 1 : 0;
