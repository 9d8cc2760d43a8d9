/**
 * The public API of every package, one report for each entry point, in packages/<name>/api: what is checked in has to be what the built declarations say, so that a
 * change of the API is seen in review. `--update` writes them anew.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";

const root = resolve(import.meta.dirname, "..");
const update = process.argv.includes("--update");
/** Generated from proto/, which has gates of its own (`buf breaking`). */
const generated = new Set(["@gmq/protocol/messages", "@gmq/protocol/grpc"]);

const wrong = [];
const temp = mkdtempSync(join(tmpdir(), "gmq-api-"));
try {
  for (const name of readdirSync(join(root, "packages"))) report(join(root, "packages", name));
} finally {
  rmSync(temp, { recursive: true, force: true });
}
if (wrong.length > 0) {
  console.error(
    `${wrong.join("\n")}\nWhen the change of the API is meant: make api-report, and commit what it writes.`,
  );
  process.exit(1);
}

function report(folder) {
  const packageJson = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(packageJson, "utf8"));
  if (manifest.private === true) return;
  const reports = join(folder, "api");
  const expected = new Set();
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string" || generated.has(manifest.name + path.slice(1))) continue;
    const entry = path === "." ? "index" : path.slice(2).replaceAll("/", "-");
    expected.add(`${entry}.api.md`);
    check(folder, packageJson, reports, entry, join(folder, target.types));
  }
  for (const file of existsSync(reports) ? readdirSync(reports) : []) {
    if (expected.has(file)) continue;
    if (update) rmSync(join(reports, file));
    else wrong.push(`${relative(root, join(reports, file))} is of an entry point that there is not`);
  }
}

function check(folder, packageJsonFullPath, reportFolder, reportFileName, mainEntryPointFilePath) {
  mkdirSync(reportFolder, { recursive: true });
  const none = { logLevel: "none" };
  const config = ExtractorConfig.prepare({
    packageJsonFullPath,
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath,
      newlineKind: "lf",
      compiler: {
        skipLibCheck: true,
        overrideTsconfig: {
          compilerOptions: {
            target: "es2023",
            lib: ["es2024", "esnext.disposable", "dom"],
            module: "nodenext",
            moduleResolution: "nodenext",
            types: ["node"],
            strict: true,
            skipLibCheck: true,
          },
          files: [mainEntryPointFilePath],
        },
      },
      apiReport: { enabled: true, reportFolder, reportTempFolder: temp, reportFileName },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: none },
        extractorMessageReporting: { default: none },
        tsdocMessageReporting: { default: none },
      },
    },
  });
  const what = relative(root, join(reportFolder, `${reportFileName}.api.md`));
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: update,
    messageCallback(message) {
      message.handled = true;
    },
  });
  if (apiReportChanged && update) console.log(`${what} is new`);
  else if (apiReportChanged) wrong.push(`${what} is not what ${relative(root, mainEntryPointFilePath)} says`);
}
