/** The agent's own clone of the hub. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { NO_JJ_PROGRAMS } from "../../plugin/src/vcs/no-programs.ts";
import { giveFolder } from "./agent-side.ts";
import { TRANSFER_MS } from "./confined.ts";
import { type Identity, runAs, writeAs } from "./identity.ts";
import { type AgentPlace, hubDir } from "./places.ts";
import { jjSettings, questionEnvironment, writeJjSettings } from "./questions.ts";

/** Makes the clone as a colocated jj repository when it is not there, and the agent's settings of jj and git. */
export async function cloneForAgent(place: AgentPlace, agent: Identity, branch: string): Promise<void> {
  await writeAs(agent, join(place.config, "jj/config.toml"), jjSettings(agent), "644");
  await writeAs(agent, join(place.config, "git/config"), gitSettings(agent), "644");
  if (existsSync(join(place.repo, ".jj"))) return;
  giveFolder(place.repo, 0o755, place, agent);
  const env = { ...questionEnvironment(place, agent), JJ_CONFIG: writeJjSettings(place, agent) };
  const jj = ["jj", "--quiet", ...NO_JJ_PROGRAMS];
  await runAs(agent, [...jj, "git", "clone", "--colocate", hubDir(place), place.repo], {
    env,
    cwd: place.home,
    timeoutMs: TRANSFER_MS,
  });
  // A pattern: a name such as "-x" or "a@b" would be an option or another bookmark.
  const track = ["bookmark", "track", "--remote=exact:origin", `exact:${JSON.stringify(branch)}`];
  await runAs(agent, [...jj, ...track], { env, cwd: place.repo, mayFail: true });
}

/** git's settings of the agent: who it is, and that nothing is ever signed. */
export const gitSettings = (agent: Identity) =>
  `[user]\n\tname = AI coder\n\temail = ${agent.name}@localhost\n[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n[tag]\n\tgpgSign = false\n`;
