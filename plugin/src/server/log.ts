/**
 * Structured log: one JSON object a line, with levels. Never holds a token, a request body or hunk text: callers
 * pass names and numbers, and fields whose name says secret are blanked here all the same.
 *
 * A logger package is not used: the usual ones write through worker threads or transports that do not survive being
 * bundled into the single file opencode loads.
 */
import { appendFileSync } from "node:fs";

const ORDER = { silent: 0, error: 1, warn: 2, info: 3, debug: 4 } as const;
export type LogLevel = keyof typeof ORDER;
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
  const at = (name: LogLevel) => (message: string, fields?: Fields) => {
    if (ORDER[name] > ORDER[level]) return;
    const entry = { time: new Date().toISOString(), level: name, message: clean(message) };
    try {
      write(JSON.stringify(fields === undefined ? entry : { ...entry, ...(clean(fields) as Fields) }));
    } catch {
      // A full disk or a closed pipe must not take the review down with it.
    }
  };
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

export const silentLog: Log = createLog("silent");
