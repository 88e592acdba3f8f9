/** Who the agent of a place runs as, and in what; both are said. */
import { basename } from "node:path";
import { requireRing } from "./cage.ts";
import { agentUser, type Identity, sameUser } from "./identity.ts";
import type { StartOptions } from "./options.ts";
import { AGENT_BASE, AGENT_USER, agentUserOf, type DeveloperPlace } from "./places.ts";
import { type Protection, protectionWords } from "./protection.ts";
import { say } from "./report.ts";
import { whyNoOuterRing } from "./ring.ts";

/**
 * @param noSeparate why it cannot be a user of its own, or null
 * @throws StartError where a ring is wanted and cannot be made
 */
export async function chooseAgent(
  options: Pick<StartOptions, "cage">,
  noSeparate: string | null,
  place: DeveloperPlace,
): Promise<{ agent: Identity; protection: Protection }> {
  const separate = noSeparate === null;
  const agent = separate ? ownUser(place) : sameUser();
  const noRing = options.cage ? whyNoOuterRing(agent) : null;
  const protection = { user: agent.name, noSeparate, cage: options.cage, noRing };
  if (options.cage) await requireRing(agent, separate);
  for (const words of protectionWords(protection)) say(words);
  return { agent, protection };
}

function ownUser(place: DeveloperPlace): Identity {
  const name = agentUserOf(place);
  const { agent, created } = agentUser(name, AGENT_BASE, basename(place.checkout));
  if (created)
    say(`made the Unix user ${name} for this agent, home ${AGENT_BASE} (npm run teardown removes it)`);
  if (name === AGENT_USER)
    say(
      `${basename(place.checkout)} was begun with the user ${name}, which other projects may share: it goes on with it`,
    );
  return agent;
}
