/** What is said once everything runs. */
import type { AgentPlace, DeveloperPlace } from "./places.ts";

export interface Ready {
  url: string;
  token_file: string;
  checkout: string;
  agent_repo: string;
  remote: string;
}

/** For people: where things are, and lines to try. */
export function readyText(
  ready: Ready,
  developer: DeveloperPlace,
  agent: AgentPlace,
  user: string,
  remoteName: string,
): string {
  const quoted = (path: string) =>
    /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replace(/'/g, `'\\''`)}'`;
  const curl = `curl -sS -H @${quoted(developer.header)}`;
  return `
  review server   ${ready.url}   (WebSocket: ${ready.url.replace("http", "ws")}/ws)
  token           ${ready.token_file}
  your checkout   ${ready.checkout}
  agent's clone   ${ready.agent_repo}   (user ${user}${agent.separate ? "" : ", which is you"})
  shared remote   ${ready.remote}   (git fetch ${remoteName})

Try it from another terminal:

  ${curl} ${ready.url}/suggestions
  ${curl} ${ready.url}/suggestions/<id>
  ${curl} ${ready.url}/feedback -d '{"suggestion_id": "<id>", "hunk_id": "<hunk>", "action": "reject", "comment": "why"}'
  ${curl} ${ready.url}/complete -d '{"suggestion_id": "<id>", "action": "finalize"}'
  nvim -u ${quoted(developer.init)} -c 'Suggest review'     (in your checkout)

Ctrl-C stops everything; the next start goes on here.
`;
}
