/**
 * `npm run sandbox -- shell`: commands run where the model's run, in both rings. Each has a ring of its own, as theirs do;
 * none gets the terminal, and what it says cannot write to it anything but text.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { readMachine, sharesOf } from "../../sandbox/limits.ts";
import { agentEnvironment } from "./agent-side.ts";
import { runConfined } from "./confined.ts";
import { StartError } from "./report.ts";
import { makeRing, type Ring, whyNoOuterRing } from "./ring.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { setUpFor } from "./sandbox-place.ts";
import { visible } from "./visible.ts";
import type { Work } from "./works.ts";

const COMMAND_MS = 3_600_000;

export async function shell({ repository, command, show }: SandboxOptions): Promise<number> {
  const { work } = await setUpFor(repository);
  const ring = await ringOf(work, show);
  const [first, ...more] = command;
  if (first !== undefined) return runIn(work, ring, [first, ...more].length === 1 ? first : quoted(command));
  const terminal = createInterface({ input: process.stdin, output: process.stderr, prompt: "agent$ " });
  if (process.stdin.isTTY) terminal.prompt();
  let code = 0;
  for await (const line of terminal) {
    if (line.trim() === "exit") break;
    if (line.trim() !== "") code = await runIn(work, ring, line);
    if (process.stdin.isTTY) terminal.prompt();
  }
  return code;
}

/** The outer ring of what is set up, or null where this agent cannot have one. @throws StartError without rings */
export async function ringOf(
  { place, agentSide, agent }: Work,
  show: readonly string[],
): Promise<Ring | null> {
  if (!existsSync(join(agentSide.cage, "shell")))
    throw new StartError(
      `There are no rings for ${place.checkout} yet: npm run sandbox -- up ${place.checkout}`,
    );
  if (agentSide.separate && process.getuid?.() !== 0)
    throw new StartError(`The agent is the Unix user ${agent.name}: run this with sudo`);
  if (whyNoOuterRing(agent) !== null) return null;
  const shares = sharesOf(readMachine());
  return makeRing(agentSide, agent, { show, server: {}, env: agentEnvironment(agentSide, agent), shares });
}

/** Runs a line of shell in both rings, or in the outer one alone. */
export function inRings({ agentSide, agent }: Work, ring: Ring | null, code: string, inner = true) {
  const cage = (name: string) => join(agentSide.cage, name);
  const words = [...(inner ? [cage("with-network"), cage("shell")] : ["sh"]), "-c", code];
  return runConfined(agent.wrap(ring === null ? words : ring.wrap(words), { dieWithParent: true }), {
    cwd: agentSide.repo,
    env: agentEnvironment(agentSide, agent),
    timeoutMs: COMMAND_MS,
  });
}

async function runIn(work: Work, ring: Ring | null, code: string): Promise<number> {
  const { exitCode, stdout, stderr, problem } = await inRings(work, ring, code);
  process.stdout.write(visible(stdout));
  process.stderr.write(visible(stderr));
  if (problem !== null) throw new StartError(`the command ${problem}`);
  return exitCode;
}

const quoted = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
