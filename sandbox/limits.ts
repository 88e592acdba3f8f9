/** What one command of the model's may use at most: one value a line, for prlimit(1). Processes are counted a ring. */
export const LIMITS: Readonly<Record<string, number>> = {
  /** Processes and threads. */
  nproc: 4096,
  /** Bytes that one process may write to: its heap, not the addresses that a runtime only sets aside. */
  data: 16 * 2 ** 30,
  /** Bytes of one file. */
  fsize: 8 * 2 ** 30,
  /** Open files of one process. */
  nofile: 16_384,
  /** A dump of a process's memory. */
  core: 0,
};

/** What opencode with the review server and all commands of a project may use: the inner limits hold beside these. */
export const OUTER_LIMITS: Readonly<Record<string, number>> = { ...LIMITS, nproc: 8192 };

/** The command that runs `command` within limits. */
export const limited = (command: readonly string[], limits = LIMITS): string[] => [
  "prlimit",
  ...Object.entries(limits).map(([name, value]) => `--${name}=${value}`),
  "--",
  ...command,
];
