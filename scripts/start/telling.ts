/** The programs that tell which system calls were refused (sandbox/notify/), where the agent can read them. */
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, putFile } from "./agent-side.ts";
import { type AgentPlace, ROOT } from "./places.ts";

const FILES = [
  ...["seccomp.ts", "system-calls.ts"],
  ...["answer.ts", "libc.ts", "tally.ts", "told.ts", "who.ts"].map((name) => join("notify", name)),
];

/** Where they are noted, for the review server. */
export const refusedCalls = (place: AgentPlace): string => join(place.state, "refused-calls.jsonl");

/** Not in the folder that it is started in, which is the agent's: Bun reads settings from there. */
const THERE = 'folder="$PWD"; cd "$0" && exec env PWD="$folder" "$@"';

/** Copies them. @returns the words in front of a program, see sandbox/notify/told.ts */
export function putTelling(place: AgentPlace): string[] {
  const folder = join(place.cage, "notify");
  makeFolder(folder, 0o755);
  for (const name of FILES)
    putFile(join(place.cage, name), readFileSync(join(ROOT, "sandbox", name), "utf8"), 0o644);
  const bun = realpathSync(join(place.tools, "bin/bun"));
  const told = [bun, "--no-env-file", join(folder, "told.ts"), refusedCalls(place), place.repo];
  return ["sh", "-c", THERE, folder, ...told];
}
