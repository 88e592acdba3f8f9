/** The program that leads out of a network with loopback alone (sandbox/network/forwarder.ts), where the agent can read it. */
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { FORWARDER_FILES } from "../../sandbox/network/holder.ts";
import { putFile } from "./agent-side.ts";
import { type AgentPlace, ROOT } from "./places.ts";

/** Copies it. @returns what the scripts around it need to know */
export function putForwarder(place: AgentPlace): { bun: string; forwarder: string; folder: string } {
  for (const name of FORWARDER_FILES)
    putFile(join(place.cage, name), readFileSync(join(ROOT, "sandbox/network", name), "utf8"), 0o644);
  return {
    bun: realpathSync(join(place.tools, "bin/bun")),
    forwarder: join(place.cage, "forwarder.ts"),
    folder: place.network,
  };
}
