/** What a start and `sandbox up` make alike: the agent's side of a place, its rings, and the developer's token. */
import { readMachine, sharesOf } from "../../sandbox/limits.ts";
import { ensureToken, prepareAgentPlace } from "./agent-side.ts";
import { type Cage, forgetCage, makeCage } from "./cage.ts";
import { cloneForAgent } from "./clone.ts";
import type { GuardWishes } from "./guard.ts";
import type { Identity } from "./identity.ts";
import type { CageWishes } from "./inner-rings.ts";
import { makeSocketFolder } from "./network.ts";
import { type AgentPlace, type DeveloperPlace, readState, writeState } from "./places.ts";
import { patiently, step } from "./report.ts";
import type { Repository } from "./repository.ts";
import { sendHistory } from "./send-history.ts";

export interface SetUp<Network> {
  /** The cage, and what came of opening its way to the network; null without one. */
  caged: { cage: Cage; network: Network; wishes: CageWishes } | null;
  token: string;
}

/** @param openNetwork opens the way to the network, where a cage is made; gives the registry that npm takes in it, too */
export async function setUp<Network extends { registry: string | null }>(
  {
    developer,
    agent,
    place,
    agentSide,
  }: {
    developer: Identity;
    agent: Identity;
    place: DeveloperPlace;
    agentSide: AgentPlace;
  },
  repository: Repository,
  options: { cage: boolean; show: readonly string[]; limits: GuardWishes },
  openNetwork: () => Promise<Network>,
): Promise<SetUp<Network>> {
  await step(`prepared the agent's side in ${agentSide.dir}`, async () => {
    await patiently("copying the agent's tools", () => prepareAgentPlace(agentSide, agent, place));
    await patiently("sending the history", () => sendHistory(repository, developer, agent, agentSide));
    await patiently("cloning the history for the agent", () =>
      cloneForAgent(agentSide, agent, repository.branch),
    );
  });
  let caged: SetUp<Network>["caged"] = null;
  if (options.cage) {
    makeSocketFolder({ developer, agent, agentSide });
    const network = await openNetwork();
    const shares = sharesOf(readMachine(), options.limits);
    const wishes = { show: options.show, registry: network.registry, shares };
    caged = { cage: await makeCage(agentSide, agent, repository.branch, wishes), network, wishes };
  } else forgetCage(agentSide);
  const token = await ensureToken(place, developer, agentSide, agent);
  return { caged, token };
}

/** Notes what there is, for the next start and for the tear-down. @param remote name of the remote in the checkout */
export function remember(
  place: DeveloperPlace,
  agent: Identity,
  agentSide: AgentPlace,
  remote: string | undefined,
): void {
  const { separate, dir, repo, state } = agentSide;
  writeState(place, {
    version: 1,
    agent: { user: agent.name, separate, dir, repo, state },
    checkout: place.checkout,
    ...(remote === undefined ? {} : { remote }),
    finished: false,
    created: readState(place)?.created ?? new Date().toISOString(),
  });
}
