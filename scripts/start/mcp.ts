/**
 * MCP servers of the developer's that they name for the agent (`--mcp NAME`). opencode starts a local one as its own program; in
 * the cage a script stands in front of that, which runs it in an inner ring around the agent's repository.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { CALL } from "../../plugin/src/review/tell/commands.ts";
import { giveFolder, putFile } from "./agent-side.ts";
import { type Identity, runAs } from "./identity.ts";
import { type CageWishes, serverRing } from "./inner-rings.ts";
import type { AgentPlace } from "./places.ts";
import { readOwn, settingsFolder, withFiles } from "./providers.ts";
import { StartError, say } from "./report.ts";

export interface LocalServer {
  name: string;
  command: string[];
  environment: Record<string, string>;
  /** What else opencode takes of one. */
  rest: { cwd?: string; timeout?: number };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";

/** @throws StartError that says which setting is not as it should be */
export async function findServers(developer: Identity, names: readonly string[]): Promise<LocalServer[]> {
  if (names.length === 0) return [];
  const found = new Map<string, { value: unknown; path: string }>();
  for (const { path, settings } of readOwn(developer)) {
    if (!isObject(settings.mcp)) continue;
    for (const [name, value] of Object.entries(settings.mcp)) found.set(name, { value, path });
  }
  const servers: LocalServer[] = [];
  for (const name of new Set(names)) {
    const one = found.get(name);
    if (one === undefined)
      throw new StartError(
        `--mcp: there is no MCP server "${name}" in ${settingsFolder(developer)}${found.size === 0 ? "" : ` (there are: ${[...found.keys()].join(", ")})`}`,
        2,
      );
    const value = await withFiles(one.value, one.path, developer, new Set());
    servers.push(checked(name, withVariables(value)));
  }
  return servers;
}

/** As opencode reads `{env:NAME}`: what is not set is nothing. */
function withVariables(value: unknown): unknown {
  if (isText(value))
    return value.replace(/\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => process.env[name] ?? "");
  if (Array.isArray(value)) return value.map(withVariables);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withVariables(one)]));
}

function checked(name: string, value: unknown): LocalServer {
  const wrong = (what: string) => new StartError(`--mcp: mcp.${name}${what}`, 2);
  if (!/^\w[\w.-]{0,63}$/.test(name))
    throw wrong(": expected a name of letters, digits, dots and dashes, 64 at most");
  if (!isObject(value)) throw wrong(": expected an object");
  if (value.type !== "local")
    throw wrong(".type: expected local; a remote server has no program here that a ring could be put around");
  const { command, environment = {}, cwd, timeout } = value;
  if (!Array.isArray(command) || command.length === 0 || !command.every(isText))
    throw wrong(".command: expected a list of words");
  if (!isObject(environment) || !Object.values(environment).every(isText))
    throw wrong(".environment: expected texts by name");
  const odd = Object.keys(environment).find((one) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(one));
  if (odd !== undefined) throw wrong(`.environment: expected names of variables, got "${odd}"`);
  return {
    name,
    command,
    environment: environment as Record<string, string>,
    rest: { ...(isText(cwd) ? { cwd } : {}), ...(typeof timeout === "number" ? { timeout } : {}) },
  };
}

export interface Placed {
  /** opencode's setting `mcp`. */
  settings: Record<string, unknown>;
  /** What they are called where a refusal is reported, by the number that each has. */
  calls: ReadonlyMap<string, string>;
}

/**
 * Says what they get, and makes their rings.
 * @param wishes null without a cage: they then run as opencode does
 */
export async function placeServers(
  servers: readonly LocalServer[],
  place: AgentPlace,
  agent: Identity,
  wishes: CageWishes | null,
): Promise<Placed> {
  const settings: Record<string, unknown> = {};
  const calls = new Map<string, string>();
  for (const { name, command, environment, rest } of servers) {
    const variables = Object.keys(environment);
    const where = wishes === null ? "runs as opencode does, in no ring" : "runs in a cage of its own";
    say(
      `the MCP server ${name} ${where}, and is given ${variables.length === 0 ? "no variables" : variables.join(", ")}`,
    );
    const before = wishes === null ? [] : [await putServerRing(name, variables, place, agent, wishes)];
    // In opencode's settings, which no command sees: none can pass for a server.
    const call = randomBytes(12).toString("hex");
    calls.set(call, `the MCP server ${name}`);
    settings[name] = {
      ...{ type: "local", enabled: true, ...rest, command: [...before, ...command] },
      environment: wishes === null ? environment : { ...environment, [CALL]: call },
    };
  }
  return { settings, calls };
}

async function putServerRing(
  name: string,
  variables: readonly string[],
  place: AgentPlace,
  agent: Identity,
  wishes: CageWishes,
): Promise<string> {
  // None of the commands': what one of those plants in theirs is not read by a server.
  giveFolder(place.serverHomes, 0o700, place, agent);
  const home = join(place.serverHomes, name);
  await runAs(agent, ["mkdir", "-p", "-m", "700", home]);
  const script = join(place.cage, `server-${name}`);
  putFile(script, serverRing(place, agent, wishes, { home, variables }), 0o755);
  return script;
}
