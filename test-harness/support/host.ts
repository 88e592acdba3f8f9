/** Requests to opencode itself, as its launcher makes them: with the password that its process was given. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Started } from "./launcher.ts";
import { descendants, processList } from "./processes.ts";

/** Asks the opencode of a start, through the socket of its ring or at its port. */
export async function askHost(
  { running, ready }: Started,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const below = new Set(descendants(running.pid));
  const host = processList().find(
    ({ pid, command }) => below.has(pid) && /^\S*opencode serve/.test(command) && !/setpriv/.test(command),
  );
  if (host === undefined) throw new Error("no opencode runs");
  const environment = readFileSync(`/proc/${host.pid}/environ`, "utf8").split("\0");
  const value = (name: string) =>
    environment.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  const unix = join(dirname(ready.agent_repo), "sockets/opencode.sock");
  const ringed = value("ISOLATED_AI_CODER_RING") !== undefined && existsSync(unix);
  const port = /--port (\d+)/.exec(host.command)?.[1];
  const answer = await fetch(
    `http://127.0.0.1:${port}${path}?directory=${encodeURIComponent(ready.agent_repo)}`,
    {
      method,
      headers: {
        authorization: `Basic ${btoa(`opencode:${value("OPENCODE_SERVER_PASSWORD")}`)}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(ringed ? { unix } : {}),
      signal: AbortSignal.timeout(60_000),
    },
  );
  return answer.json();
}
