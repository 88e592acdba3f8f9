/**
 * What was refused, for `npm run sandbox -- list`: connections from the developer's own file, and what the server alone knows of
 * (files, system calls) from the server, through the developer's door, as long as it runs.
 */
import { existsSync } from "node:fs";
import { type Refusal, readRefusals } from "../../sandbox/refusals.ts";
import { socketAt } from "../../sandbox/relay/socket-at.ts";
import type { Identity } from "./identity.ts";
import { networkFiles } from "./network.ts";
import { type DeveloperPlace, readRun, serverUrl } from "./places.ts";
import { visibleLine } from "./visible.ts";

const SHOWN = 20;
const ASK_MS = 10_000;

interface Line {
  name: string;
  count: number;
  last: string;
  reason: string;
}

/** As `GET /sandbox` has it. */
interface Told {
  kind: string;
  target: string;
  reason: string;
  program?: string;
  count: number;
  last_at: string;
}

const ARTICLES: Readonly<Record<string, string>> = { file: "the file ", system_call: "the system call " };

export async function refusedSoFar(place: DeveloperPlace, developer: Identity): Promise<string> {
  const told = await othersTold(place, developer).catch(
    (error: unknown) => `what else was refused the server does not say: ${(error as Error).message}`,
  );
  const others = typeof told === "string" ? [] : told.map(described);
  const lines = [...connections(readRefusals(networkFiles(place).refusals)), ...others]
    .sort((a, b) => (a.last < b.last ? 1 : -1))
    .slice(0, SHOWN)
    .map(
      ({ name, count, last, reason }) =>
        `  ${name}  ${count} times, last ${visibleLine(last)} (${visibleLine(reason)})`,
    );
  return [
    ...(lines.length === 0 ? ["  (nothing)"] : lines),
    ...(typeof told === "string" ? [`  (${visibleLine(told)})`] : []),
  ].join("\n");
}

function connections(refusals: readonly Refusal[]): Line[] {
  const alike = new Map<string, Line>();
  for (const { host, port, count, ts, reason } of refusals) {
    const name = visibleLine(`${host}:${port}`);
    alike.set(name, { name, count: (alike.get(name)?.count ?? 0) + count, last: ts, reason });
  }
  return [...alike.values()];
}

function described({ kind, target, reason, program, count, last_at }: Told): Line {
  const tool = kind === "file" && program !== "bash" ? "opencode's " : "";
  const who = program === undefined ? "" : ` to ${tool}${visibleLine(program)}`;
  return { name: `${ARTICLES[kind] ?? ""}${visibleLine(target)}${who}`, count, last: last_at, reason };
}

/** @returns what is no connection, or why it is not known */
async function othersTold(place: DeveloperPlace, developer: Identity): Promise<Told[] | string> {
  const run = readRun(place);
  if (run === null || !existsSync(place.door))
    return "files and system calls that were refused are told while it runs";
  const door = socketAt(place.door, developer.uid);
  try {
    const response = await fetch(`${serverUrl("127.0.0.1", run.port)}/sandbox`, {
      unix: door.path,
      keepalive: false,
      signal: AbortSignal.timeout(ASK_MS),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { refusals } = (await response.json()) as { refusals: Told[] };
    return refusals.filter(({ kind }) => kind !== "network");
  } finally {
    door.release();
  }
}
