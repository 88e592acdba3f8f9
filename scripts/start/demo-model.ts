/** The demo's scripted model, as a process of the agent's. */
import { join } from "node:path";
import { demoScript } from "../../demo/script.ts";
import { agentEnvironment, putFile } from "./agent-side.ts";
import { type Identity, writeAs } from "./identity.ts";
import { type AgentPlace, type DeveloperPlace, ROOT } from "./places.ts";
import type { Supervisor } from "./processes.ts";
import { StartError } from "./report.ts";

/** It runs as the agent: what it is sent comes from the agent's side, and it needs nothing of the developer's. */
export async function startModel(
  supervisor: Supervisor,
  { agent, agentSide, place }: { agent: Identity; agentSide: AgentPlace; place: DeveloperPlace },
  port: number,
): Promise<void> {
  const built = await Bun.build({
    entrypoints: [join(ROOT, "demo/scripted-model.ts")],
    target: "bun",
  });
  const [output] = built.outputs;
  if (!built.success || output === undefined) throw new StartError("The scripted model could not be bundled");
  putFile(join(agentSide.lib, "scripted-model.js"), await output.text(), 0o644);
  const script = join(agentSide.home, "demo-script.json");
  await writeAs(agent, script, JSON.stringify(demoScript()));
  supervisor.start(
    "scripted model",
    agent,
    [
      "bun",
      join(agentSide.lib, "scripted-model.js"),
      ...["--script", script, "--port", String(port)],
      ...["--log", join(agentSide.home, "requests.jsonl")],
    ],
    { cwd: agentSide.home, env: agentEnvironment(agentSide, agent), log: join(place.log, "model.log") },
  );
}
