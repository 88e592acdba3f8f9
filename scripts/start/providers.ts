/** Which model the agent uses: the scripted one of the demo, or the developer's own opencode configuration. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { withoutComments } from "../../plugin/src/jsonc.ts";
import { type Identity, readAs, writeAs } from "./identity.ts";
import { PASSED } from "./network.ts";
import type { ProviderSettings } from "./opencode.ts";
import type { AgentPlace } from "./places.ts";
import { StartError, say } from "./report.ts";

/** The agent host asks nothing of the network in the demo. */
export const OFFLINE = {
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  npm_config_offline: "true",
  npm_config_fetch_retries: "0",
};

/** A project's own .opencode folder could run programs inside the server. */
export const CLOSED = { OPENCODE_DISABLE_PROJECT_CONFIG: "1", OPENCODE_DISABLE_AUTOUPDATE: "1" };

export function scriptedProvider(baseURL: string, apiKey: string): ProviderSettings {
  return {
    model: "scripted/scripted-1",
    small_model: "scripted/scripted-1",
    enabled_providers: ["scripted"],
    lsp: false,
    formatter: false,
    provider: {
      scripted: {
        npm: "@ai-sdk/openai-compatible",
        name: "Scripted demo",
        options: { baseURL, apiKey },
        models: {
          "scripted-1": { name: "Scripted demo", tool_call: true, limit: { context: 200_000, output: 8192 } },
        },
      },
    },
  };
}

/** What of a developer's settings concerns the model; plugins, keys and servers of their own stay with them. */
const KEPT = [
  "model",
  "small_model",
  "provider",
  "enabled_providers",
  "disabled_providers",
  "agent",
  "permission",
];
export interface OwnProvider {
  settings: ProviderSettings;
  /** Environment that goes with the settings. */
  env: Record<string, string>;
  /** Text of the developer's auth.json. */
  logins: string | null;
  /** Files whose content the settings hold. */
  files: string[];
}

/**
 * @param pass names of environment variables the developer hands over
 * @throws StartError when there is no provider at all
 */
export async function findOwnProvider(developer: Identity, pass: string[]): Promise<OwnProvider> {
  const isOwn = developer.uid === process.getuid?.();
  const dataHome = (isOwn && process.env.XDG_DATA_HOME) || join(developer.home, ".local/share");
  const { settings, files } = await readSettings(developer);
  const auth = join(dataHome, "opencode/auth.json");
  const logins = existsSync(auth) ? readFileSync(auth, "utf8") : null;

  const providers = new Set([
    ...Object.keys((settings.provider as object | undefined) ?? {}),
    ...Object.keys(logins === null ? {} : (JSON.parse(logins) as object)),
    ...[settings.model, settings.small_model].flatMap((model) =>
      typeof model === "string" ? [model.split("/")[0] ?? ""] : [],
    ),
  ]);
  if (providers.size === 0 && pass.length === 0) {
    throw new StartError(
      `No provider is set up for opencode in ${settingsFolder(developer)}: run "opencode auth login" (an opencode is in .tools/bin), or name a key with --env NAME`,
    );
  }
  const named = [...JSON.stringify(settings).matchAll(/\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g)].map(
    (match) => match[1] ?? "",
  );
  const keys = [...providers].map((id) => `${id.toUpperCase().replace(/[^A-Z0-9]/g, "_")}_API_KEY`);
  const env: Record<string, string> = {};
  for (const name of [...PASSED, ...named, ...keys, ...pass]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return { settings, env, logins, files };
}

/** Where the agent's opencode keeps its logins. */
export const authFile = (place: AgentPlace): string => join(place.home, ".local/share/opencode/auth.json");

/** Without a cage: puts the developer's logins where the agent's opencode looks, and says what was handed over. */
export async function handOver(provider: OwnProvider, agent: Identity, place: AgentPlace): Promise<void> {
  const { logins, env, files } = provider;
  if (logins !== null) await writeAs(agent, authFile(place), logins);
  const handed = [
    ...(logins === null ? [] : ["auth.json"]),
    ...files,
    ...Object.keys(env).filter((name) => !PASSED.includes(name)),
  ];
  if (handed.length > 0 && place.separate)
    say(`the agent is given your provider's credentials (${handed.join(", ")})`);
}

/** The developer's settings of opencode, file by file: what comes later counts. @throws StartError that names a broken one */
export function readOwn(developer: Identity): { path: string; settings: Record<string, unknown> }[] {
  const dir = settingsFolder(developer);
  return ["config.json", "opencode.json", "opencode.jsonc"].flatMap((name) => {
    const path = join(dir, name);
    if (!existsSync(path)) return [];
    try {
      const settings = JSON.parse(withoutComments(readFileSync(path, "utf8"))) as Record<string, unknown>;
      return [{ path, settings }];
    } catch (error) {
      throw new StartError(`${path} cannot be read: ${(error as Error).message}`);
    }
  });
}

export function settingsFolder(developer: Identity): string {
  const isOwn = developer.uid === process.getuid?.();
  return join((isOwn && process.env.XDG_CONFIG_HOME) || join(developer.home, ".config"), "opencode");
}

async function readSettings(developer: Identity): Promise<{ settings: ProviderSettings; files: string[] }> {
  const settings: ProviderSettings = {};
  const files = new Set<string>();
  for (const { path, settings: parsed } of readOwn(developer)) {
    for (const key of KEPT) {
      if (parsed[key] !== undefined) settings[key] = await withFiles(parsed[key], path, developer, files);
    }
  }
  return { settings, files: [...files] };
}

/**
 * A value with every `{file:…}` in it replaced by that file's content, as opencode reads it: the agent cannot read the
 * developer's files. Read as the developer.
 */
export async function withFiles(
  value: unknown,
  from: string,
  developer: Identity,
  files: Set<string>,
): Promise<unknown> {
  if (typeof value === "string") {
    let text = value;
    for (const [reference, named = ""] of value.matchAll(/\{file:([^}]+)\}/g)) {
      const path = named.startsWith("~/")
        ? join(developer.home, named.slice(2))
        : resolve(dirname(from), named);
      const content = await readAs(developer, path);
      if (content === null) throw new StartError(`${from} names ${reference}, and ${path} cannot be read`);
      files.add(path);
      text = text.replace(reference, () => content.trim());
    }
    return text;
  }
  if (Array.isArray(value)) return Promise.all(value.map((one) => withFiles(one, from, developer, files)));
  if (typeof value !== "object" || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(value)) copy[key] = await withFiles(one, from, developer, files);
  return copy;
}
