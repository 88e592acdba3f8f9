/** `npm run sandbox -- status`: what is set up, and what of it runs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findDeveloper } from "./identity.ts";
import { readRun, readState, serverUrl } from "./places.ts";
import { isAlive } from "./processes.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { allDirs, setUpFor } from "./sandbox-place.ts";
import { visible } from "./visible.ts";
import { type Work, workIn } from "./works.ts";

export async function status({ repository }: SandboxOptions): Promise<number> {
  const developer = findDeveloper();
  const works =
    repository === null
      ? await Promise.all(allDirs().map((dir) => workIn(dir, developer)))
      : [(await setUpFor(repository)).work];
  const lines = works.flatMap(described);
  const nothing = ["nothing is set up; npm run sandbox -- up <repository>"];
  process.stdout.write(visible(`${(lines.length > 0 ? lines : nothing).join("\n")}\n`));
  return 0;
}

function described({ place, agentSide, agent, lost }: Work): string[] {
  const run = readRun(place);
  const runs = run !== null && isAlive(run.launcher);
  const rings = existsSync(join(agentSide.cage, "shell")) ? "made" : "not made, or --no-cage was given";
  const user = readState(place)?.agent.user ?? agent.name;
  return [
    place.checkout,
    `  agent    ${user}${agentSide.separate ? ", a user of its own" : ", which is you"}, in ${agentSide.repo}`,
    `  rings    ${rings}`,
    `  runs     ${runs ? `yes, at ${serverUrl("127.0.0.1", run.port)} (process ${run.launcher.pid})` : "no"}`,
    ...(runs && existsSync(place.door) ? [`  door     ${place.door}, which needs no token`] : []),
    ...lost.map((line) => `  not yet yours: ${line}`),
  ];
}
