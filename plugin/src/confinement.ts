/**
 * What confines the agent, in words for the developer. Only who started this process knows: it is told in a variable. A
 * claim like all that the server says; `npm run sandbox -- doctor` tries it.
 */
import { z } from "zod";

/** A JSON object as {@link Told} has it, set by a launcher. */
export const CONFINED = "ISOLATED_AI_CODER_CONFINED";

const Told = z.object({ confined: z.boolean(), words: z.array(z.string().max(1000)).max(50) });

export interface Confinement {
  /** What this server is in: opencode, which runs the agent, or nothing, so that the agent is somewhere else. */
  host: "opencode" | "none";
  /** Whether a launcher of ours has put rings around the agent. */
  confined: boolean;
  /** A sentence for each ring, or for what there is none. */
  words: string[];
}

const NOTHING =
  "Nothing of Isolated AI Coder confines this agent: it was not started by npm start, and its commands reach whatever its user reaches";
const HOW =
  "For rings around it: npm start -- <your repository>, in the folder of Isolated AI Coder; npm run sandbox -- doctor then tries them";

let host: Confinement["host"] = "none";
/** Said once, by the plugin. */
export const inOpencode = (): void => {
  host = "opencode";
};

export function confinement(env: Record<string, string | undefined>): Confinement {
  const told = env[CONFINED];
  if (told === undefined) return { host, confined: false, words: [NOTHING, HOW] };
  try {
    return { host, ...Told.parse(JSON.parse(told)) };
  } catch {
    const words = [`${CONFINED} cannot be read: who started this server is not known`, HOW];
    return { host, confined: false, words };
  }
}
