/** Where the agent's tools really are. */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Shown } from "../../sandbox/system.ts";
import type { AgentPlace } from "./places.ts";

/** Tools of the machine's that are kept outside of the folders a ring has anyway. */
export function programsElsewhere(place: AgentPlace, shown: readonly Shown[]): string[] {
  const tools = realpathSync(place.tools);
  const covered = [tools, ...shown.map(({ path }) => path)];
  return ["bun", "jj", "git", "rg", "opencode", "bwrap"]
    .map((name) => realpathSync(join(place.tools, "bin", name)))
    .filter((path) => !covered.some((folder) => path.startsWith(`${folder}/`)));
}
