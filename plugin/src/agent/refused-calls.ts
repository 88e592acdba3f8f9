/**
 * Reports system calls that the rings refused. Whoever answers for them (sandbox/notify/) notes them in a file, which the
 * commands cannot reach; it is read once a second.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { z } from "zod";
import type { RefusalsRequest } from "../protocol/changes.ts";
import { commandLine } from "../review/tell/commands.ts";

/** Variable that names the file. */
export const REFUSED_CALLS = "ISOLATED_AI_CODER_REFUSED_CALLS";

/** Variable with what is started by the launcher and has a number of its own, as JSON: names by numbers. */
export const NAMED_CALLS = "ISOLATED_AI_CODER_CALLS";

const EVERY_MS = 1000;
/** What is read at once, and what one report takes. */
const MOST_BYTES = 1 << 16;
const MOST = 100;

const Line = z.object({
  name: z.string().min(1).max(64),
  reason: z.string().min(1).max(255),
  program: z.string(),
  call: z.string().max(64).optional(),
  count: z.int().min(1),
});

type Reported = RefusalsRequest["refusals"][number];

type Names = Readonly<Record<string, string>>;

/** @returns null for a line that is none */
function parsed(line: string, names: Names): Reported | null {
  try {
    const { name, reason, program, call, count } = Line.parse(JSON.parse(line));
    const named = commandLine(program).slice(0, 255);
    const command = call !== undefined && Object.hasOwn(names, call) ? names[call] : undefined;
    return {
      ...{ kind: "system_call", target: name, reason, count },
      ...(named === "" ? {} : { program: named }),
      ...(call === undefined ? {} : { call }),
      ...(command === undefined ? {} : { command }),
    };
  } catch {
    return null;
  }
}

export class RefusedCalls {
  #read: number;

  /** From its present end on: what is there by then is of an earlier start. */
  constructor(
    private readonly path: string,
    private readonly names: Names = {},
  ) {
    this.#read = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** What has come since the last time, as far as whole lines of it are there. */
  next(): Reported[] {
    let file: number;
    try {
      file = openSync(this.path, "r");
    } catch {
      this.#read = 0;
      return [];
    }
    try {
      // A file that has grown too long is begun anew.
      if (fstatSync(file).size < this.#read) this.#read = 0;
      const bytes = Buffer.alloc(MOST_BYTES);
      const got = bytes.subarray(0, readSync(file, bytes, 0, MOST_BYTES, this.#read));
      const lines: string[] = [];
      let at = 0;
      for (let end = got.indexOf(10); end >= 0 && lines.length < MOST; end = got.indexOf(10, at)) {
        lines.push(got.toString("utf8", at, end));
        at = end + 1;
      }
      // What has no end in sight is no line.
      this.#read += at === 0 && got.length === MOST_BYTES ? got.length : at;
      return lines.flatMap((line) => parsed(line, this.names) ?? []);
    } finally {
      closeSync(file);
    }
  }
}

/**
 * Goes on until the process ends, where the launcher says that there is something to report.
 * @param report may reject: what it did not take comes again
 */
export function reportRefusedCalls(
  { [REFUSED_CALLS]: path, [NAMED_CALLS]: names }: NodeJS.ProcessEnv,
  report: (refusals: Reported[]) => Promise<unknown>,
): void {
  if (path === undefined) return;
  const calls = new RefusedCalls(path, names === undefined ? {} : (JSON.parse(names) as Names));
  let waiting: Reported[] = [];
  let busy = false;
  setInterval(async () => {
    if (busy) return;
    busy = true;
    try {
      if (waiting.length === 0) waiting = calls.next();
      while (waiting.length > 0) {
        await report(waiting);
        waiting = calls.next();
      }
    } catch {
      // Another process writes to the ledger, say.
    } finally {
      busy = false;
    }
  }, EVERY_MS).unref();
}
