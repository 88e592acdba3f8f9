/**
 * What protects the developer, ring by ring, in plain words: the same at a start, in `/health`, in `:checkhealth` and from
 * the doctor.
 */
import { CONFINED } from "../../plugin/src/confinement.ts";

export interface Protection {
  /** Name of the agent's Unix user. */
  user: string;
  /** Why the agent has no user of its own, or null when it has. */
  noSeparate: string | null;
  /** Whether commands run in the inner ring. */
  cage: boolean;
  /** Why opencode has no outer ring, or null when it has. */
  noRing: string | null;
}

/** A sentence for each, the outermost first. */
export function protectionWords({ user, noSeparate, cage, noRing }: Protection): string[] {
  if (!cage)
    return [
      `NO CAGE, because --no-cage was given: the agent's commands reach whatever ${user} can, the review's own files too`,
      noSeparate === null
        ? `a user of its own: the agent runs as the Unix user ${user}, which owns nothing of yours`
        : `NO ISOLATION: the agent runs as ${user}, because ${noSeparate}. It can change whatever you can`,
    ];
  return [
    noSeparate === null
      ? `a user of its own: the agent runs as the Unix user ${user}, which owns nothing of yours`
      : `no user of its own: the agent runs as ${user}, because ${noSeparate}. The rings below hold all the same`,
    noRing === null
      ? "the outer ring, around opencode and the review server: a read-only system, the agent's own folders, processes and network, nothing of yours; no terminal, no new privileges, a filter of system calls; all of it ends with npm start"
      : `NO OUTER RING, because ${noRing}: opencode itself reaches whatever ${user} can`,
    "each command of the agent's runs in a cage, the inner ring: its repository, a home of its own, nothing else of yours or of the review's; the verify command runs in one around its tree alone",
    `of the network a command reaches what is on your list (npm run sandbox -- list), through a proxy; ${
      noRing === null
        ? "so does opencode itself, which reaches your provider through a gateway"
        : "opencode itself shares the machine's network"
    }; your provider's key is not with it`,
  ];
}

/** For the server, which passes it on to the developer. */
export const protectionVariable = (protection: Protection): Record<string, string> => ({
  [CONFINED]: JSON.stringify({ confined: protection.cage, words: protectionWords(protection) }),
});
