/** `npm run sandbox -- up`: everything that a start makes, made and not started. What is there already is left as it is. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { lookUp, whyNoSeparateUser } from "../../sandbox/user.ts";
import { chooseAgent } from "./choose-agent.ts";
import { makeDeveloperFolders } from "./developer-side.ts";
import { findDeveloper, type Identity } from "./identity.ts";
import {
  AGENT_BASE,
  type AgentPlace,
  agentPlace,
  agentUserOf,
  type DeveloperPlace,
  hubDir,
  readState,
} from "./places.ts";
import { findReachable } from "./reachable.ts";
import { StartError, say } from "./report.ts";
import { inspectRepository, type Repository } from "./repository.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { placeOfRepository } from "./sandbox-place.ts";
import { remember, setUp } from "./set-up.ts";

export async function up(options: SandboxOptions): Promise<number> {
  if (options.repository === null)
    throw new StartError("up: expected a repository (npm start makes the demo)", 2);
  const developer = findDeveloper();
  const repository = await inspectRepository(options.repository, developer);
  const place = await placeOfRepository(options.repository, developer);
  const noSeparate = options.sameUser ? "--same-user was given" : whyNoSeparateUser();
  const separate = noSeparate === null;
  const agentSide = agentPlace(place, separate, readState(place)?.agent.state);
  const changes = missing(place, agentSide, repository);
  if (changes.length === 0) {
    say(`everything is there for ${repository.dir}: nothing was changed`);
    return 0;
  }
  say(options.dryRun ? "this would be made:" : "this is made:");
  for (const line of changes) say(`  ${line}`);
  if (options.dryRun) return 0;
  const { agent } = await chooseAgent({ cage: true }, noSeparate, place);
  makeDeveloperFolders(place, developer);
  const made: { developer: Identity; agent: Identity } = { developer, agent };
  const of = { ...made, place, agentSide };
  const reachable = () => findReachable(developer, repository.dir);
  await setUp(of, repository, { cage: true, show: options.show, limits: {} }, reachable);
  remember(place, agent, agentSide, readState(place)?.remote);
  say(`set up for ${repository.dir}; npm start -- ${repository.dir} starts the agent`);
  return 0;
}

/** What is not there yet, a line each. */
function missing(place: DeveloperPlace, agentSide: AgentPlace, repository: Repository): string[] {
  const absent = (path: string, what: string) => (existsSync(path) ? [] : [what]);
  const user = agentUserOf(place);
  return [
    ...(agentSide.separate && lookUp(user) === null ? [`the Unix user ${user}`] : []),
    ...(agentSide.separate ? absent(agentSide.tools, `tools of all agents, in ${AGENT_BASE}`) : []),
    ...absent(agentSide.config, `the agent's folders, in ${agentSide.dir}`),
    ...absent(join(hubDirOf(agentSide), "HEAD"), `the history of ${repository.branch}, for the agent`),
    ...absent(join(agentSide.repo, ".jj"), `the agent's clone ${agentSide.repo}`),
    ...absent(join(agentSide.cage, "shell"), "the rings around the agent and its commands"),
    ...absent(place.token, `a token of yours, in ${place.token}`),
    ...absent(place.state, "a note of all this, for the next start and for down"),
  ];
}

/** Its name is made from a folder that may not be there yet. */
const hubDirOf = (agentSide: AgentPlace): string =>
  existsSync(agentSide.dir) ? hubDir(agentSide) : join(agentSide.state, "git");
