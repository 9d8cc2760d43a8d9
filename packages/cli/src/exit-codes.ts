/** What the process answers to its caller; the help text prints the same table. */
export const exitCodes = {
  ok: 0,
  /** Nothing was done, or the broker refused it. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Some records were stored or settled and some were not. */
  partial: 3,
  /** Ctrl-C or SIGTERM; what was in flight has been finished. */
  interrupted: 130,
} as const;

/** One of the documented exit codes. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The table as help prints it. */
export const exitCodesHelp = `Exit codes:
  0    done
  1    failed: the broker is not reachable or refused it
  2    the command line is wrong
  3    partly done: some records were stored or settled, some were not
  130  interrupted by Ctrl-C or SIGTERM, after finishing what was in flight`;
