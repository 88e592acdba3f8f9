/** A trial run of something as the agent. */
import { runConfined } from "./confined.ts";
import type { Identity } from "./identity.ts";

/** A program that is not there is a failure like others. */
export async function attempt(agent: Identity, command: string[], cwd: string, env: Record<string, string>) {
  try {
    const { exitCode, stderr, problem } = await runConfined(agent.wrap(command, { dieWithParent: true }), {
      cwd,
      env,
    });
    return { exitCode: problem === null ? exitCode : 1, stderr: problem ?? stderr };
  } catch (error) {
    return { exitCode: 1, stderr: (error as Error).message };
  }
}
