/** Node runs TypeScript by leaving the types out; decorators, which NestJS is made of, it does not know. */
import { transform } from "esbuild";

/** True for a program that Node cannot run as it stands. */
export function hasDecorators(program: string): boolean {
  return /^\s*@[A-Z]\w*\(/m.test(program);
}

/** The program as JavaScript, its decorators made into calls as TypeScript's `experimentalDecorators` does. */
export async function compileDecorators(program: string): Promise<string> {
  const compilerOptions = { experimentalDecorators: true, verbatimModuleSyntax: true };
  const { code } = await transform(program, {
    loader: "ts",
    format: "esm",
    target: "node22",
    tsconfigRaw: { compilerOptions },
  });
  return code;
}
