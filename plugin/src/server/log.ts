/**
 * Structured log: one JSON object a line, with levels, through pino. Never holds a token, a request body or hunk text:
 * callers pass names and numbers, and fields whose name says secret are blanked here all the same, at any depth, which
 * pino's own redaction by path does not do.
 *
 * Lines are written by this process itself: pino's transports run in worker threads, for which the single file that
 * opencode loads has no modules.
 */
import { appendFileSync } from "node:fs";
import pino, { type LevelWithSilent } from "pino";

export type LogLevel = Extract<LevelWithSilent, "silent" | "error" | "warn" | "info" | "debug">;
type Fields = Record<string, unknown>;

export interface Log {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
}

const SECRET_NAME = /token|authorization|secret|password|cookie/i;
const SECRET_VALUE = /\b(bearer|basic)\s+[^\s"]+|\bsm[da]_[\w-]{8,}/gi;

function clean(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return value.slice(0, 2000).replace(SECRET_VALUE, "[redacted]");
  if (value instanceof Error) return clean(value.stack ?? value.message);
  if (typeof value !== "object" || value === null) return value;
  if (depth > 3) return "[deep]";
  if (Array.isArray(value)) return value.slice(0, 20).map((item) => clean(item, depth + 1));
  const kept: Fields = {};
  for (const [name, field] of Object.entries(value)) {
    kept[name] = SECRET_NAME.test(name) ? "[redacted]" : clean(field, depth + 1);
  }
  return kept;
}

/** @param destination a file to append to, or a function given each line; standard error if left out */
export function createLog(level: LogLevel, destination?: string | ((line: string) => void)): Log {
  const write =
    typeof destination === "function"
      ? destination
      : destination === undefined
        ? (line: string) => void process.stderr.write(`${line}\n`)
        : (line: string) => appendFileSync(destination, `${line}\n`, { mode: 0o600 });
  const stream = {
    write(line: string): void {
      try {
        write(line.trimEnd());
      } catch {
        // A full disk or a closed pipe must not take the review down with it.
      }
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const at = (name: Exclude<LogLevel, "silent">) => (message: string, fields?: Fields) => {
    if (logger.isLevelEnabled(name)) logger[name](clean(fields ?? {}) as Fields, String(clean(message)));
  };
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}
