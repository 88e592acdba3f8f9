/**
 * Puts the developer's providers behind the gateway: opencode gets an address on loopback and a placeholder for each secret,
 * the gateway gets where the provider is and the secrets. A login that opencode itself renews cannot be kept outside.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Route, Secret } from "../../sandbox/network/gateway.ts";
import { type Identity, readAs, writeAs } from "./identity.ts";
import { PASSED } from "./network.ts";
import type { ProviderSettings } from "./opencode.ts";
import type { AgentPlace, DeveloperPlace } from "./places.ts";
import {
  askOpencode,
  type Catalogue,
  LOGIN_ADDRESSES,
  readCatalogue,
  variableOf,
} from "./provider-addresses.ts";
import { authFile, type OwnProvider } from "./providers.ts";
import { StartError, say } from "./report.ts";

export interface Gated {
  /** What opencode is given instead of the developer's. */
  provider: OwnProvider;
  routes: Route[];
  /** Where opencode itself still goes: addresses of providers that are not behind the gateway. */
  direct: string[];
}

interface ProviderConfig {
  api?: unknown;
  options?: Record<string, unknown>;
  [name: string]: unknown;
}

type Login = { type?: unknown; key?: unknown };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
/** Names under which SDKs take what lets somebody in. */
const SECRET = /^(api_?key|auth_?token|access_?token|token|secret|password)$/i;

/** Everything about one start's gateway. */
class Gate {
  readonly routes: Route[] = [];
  readonly direct: string[] = [];
  readonly #used = new Set<string>();

  constructor(
    private readonly port: number,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** Names of variables whose content is with the gateway now. */
  get used(): ReadonlySet<string> {
    return this.#used;
  }

  /** A text of the settings as opencode would read it. */
  expand(text: string): string {
    return text.replace(/\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      this.#used.add(name);
      return this.env[name] ?? "";
    });
  }

  fromVariables(names: readonly string[]): string | null {
    for (const name of names) {
      const value = this.env[name];
      if (value === undefined || value === "") continue;
      for (const one of names) this.#used.add(one);
      return value;
    }
    return null;
  }

  /** The provider's settings with placeholders, and its route. */
  add(id: string, base: string, key: string | null, config: ProviderConfig): ProviderConfig {
    const secrets: Secret[] = [];
    const put = (value: string | null): string => {
      const placeholder = `kept-outside-${randomBytes(24).toString("base64url")}`;
      secrets.push({ placeholder, value });
      return placeholder;
    };
    // Whatever names a header or a secret, at any depth: models have headers of their own.
    const masked = (value: unknown, inHeaders: boolean): unknown => {
      if (Array.isArray(value)) return value.map((one) => masked(one, false));
      if (!isObject(value)) return value;
      return Object.fromEntries(
        Object.entries(value).map(([name, one]) => [
          name,
          isText(one) && (inHeaders || SECRET.test(name))
            ? put(this.expand(one))
            : masked(one, name === "headers"),
        ]),
      );
    };
    const { apiKey: _key, baseURL: _base, ...options } = config.options ?? {};
    const rest = masked({ ...config, options }, false) as ProviderConfig;
    const baseURL = `http://127.0.0.1:${this.port}/${encodeURIComponent(id)}`;
    this.routes.push({ id, base, secrets });
    return { ...rest, options: { ...rest.options, apiKey: put(key), baseURL } };
  }
}

/**
 * @param port of the gateway
 * @throws StartError when the model that is chosen would be left without its key
 */
export async function behindGateway(own: OwnProvider, developer: Identity, port: number): Promise<Gated> {
  const isOwn = developer.uid === process.getuid?.();
  const cacheHome = (isOwn && process.env.XDG_CACHE_HOME) || join(developer.home, ".cache");
  const catalogue = readCatalogue(cacheHome);
  const gate = new Gate(port, own.env);
  const settings = structuredClone(own.settings);
  const providers = { ...((settings.provider ?? {}) as Record<string, ProviderConfig>) };
  const logins = own.logins === null ? {} : (JSON.parse(own.logins) as Record<string, Login>);
  const renewed: Record<string, Login> = {};
  for (const id of idsOf(own, providers, logins, catalogue)) {
    const login = logins[id];
    const config = providers[id] ?? {};
    if (login !== undefined && login.type !== "api" && !isText(config.options?.apiKey)) {
      renewed[id] = login;
      gate.direct.push(...(LOGIN_ADDRESSES[id] ?? []), ...[catalogue[id]?.base].filter(isText));
      continue;
    }
    const given = config.options?.apiKey;
    const key =
      (isText(given) ? gate.expand(given) : null) ??
      (isText(login?.key) ? login.key : null) ??
      gate.fromVariables(catalogue[id]?.variables ?? [variableOf(id)]);
    if (key === null && !isText(config.options?.baseURL) && !isText(config.api)) {
      // Nothing to keep outside: opencode goes there by itself, if it can at all.
      gate.direct.push(...[catalogue[id]?.base].filter(isText));
      continue;
    }
    const base = await baseOf(id, config, { gate, catalogue, developer });
    if (base !== null) providers[id] = gate.add(id, base, key, config);
    else if (key !== null) keepOut(id, providers, settings);
  }
  settings.provider = providers;
  const env = Object.fromEntries(
    Object.entries(own.env).filter(([name]) => !gate.used.has(name) || isNamedIn(settings, name)),
  );
  for (const name of ["NO_PROXY", "no_proxy"])
    if (Object.keys(env).some((one) => PASSED.includes(one)))
      env[name] = [env[name], "127.0.0.1", "localhost"].filter(Boolean).join(",");
  const outside = gate.routes
    .filter(({ secrets }) => secrets.some(({ value }) => value !== null))
    .map(({ id }) => id);
  if (outside.length > 0)
    say(
      `the keys of ${outside.join(", ")} stay outside: opencode has placeholders, and a gateway puts them in`,
    );
  const inside = Object.keys(env).filter((name) => !PASSED.includes(name));
  if (inside.length > 0)
    say(`opencode is given ${inside.join(", ")} with what is in them; the agent's commands do not see them`);
  const kept = Object.keys(renewed).length === 0 ? null : JSON.stringify(renewed, null, 2);
  return { provider: { ...own, settings, env, logins: kept }, routes: gate.routes, direct: gate.direct };
}

const isNamedIn = (settings: ProviderSettings, name: string) =>
  JSON.stringify(settings).includes(`{env:${name}}`);

/** Every provider that something of the developer's is there for. */
function idsOf(
  { settings, env }: OwnProvider,
  providers: Record<string, ProviderConfig>,
  logins: Record<string, Login>,
  catalogue: Catalogue,
): Set<string> {
  const models = [settings.model, settings.small_model]
    .filter(isText)
    .map((model) => model.split("/")[0] ?? "");
  const byVariable = Object.entries(catalogue).flatMap(([id, { variables }]) =>
    variables.some((name) => env[name] !== undefined) ? [id] : [],
  );
  return new Set([...Object.keys(providers), ...Object.keys(logins), ...models, ...byVariable]);
}

async function baseOf(
  id: string,
  { options, api }: ProviderConfig,
  { gate, catalogue, developer }: { gate: Gate; catalogue: Catalogue; developer: Identity },
): Promise<string | null> {
  const given = [options?.baseURL, api].find(isText);
  const text =
    given === undefined ? (catalogue[id]?.base ?? (await askOpencode(developer, id))) : gate.expand(given);
  if (text === null) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return text;
  throw new StartError(`The provider ${id}: baseURL is expected to be an address of the web, got "${text}"`);
}

/** A key that would have to go in is left out, and that is said. */
function keepOut(id: string, providers: Record<string, ProviderConfig>, settings: ProviderSettings): void {
  const remedy = `name where it is in your opencode settings: provider.${id}.options.baseURL`;
  if ([settings.model, settings.small_model].some((model) => isText(model) && model.startsWith(`${id}/`)))
    throw new StartError(
      `The key of ${id} stays outside, and the gateway does not know where ${id} is: ${remedy}`,
    );
  say(`the key of ${id} is not handed over, because the gateway does not know where ${id} is: ${remedy}`);
  const { options, ...config } = providers[id] ?? {};
  if (options === undefined) return;
  const { apiKey: _key, ...rest } = options;
  providers[id] = { ...config, options: rest };
}

const sha256 = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");

/**
 * Logins that opencode renews: one file, whose owner is the agent's side from the first time on, because a renewal makes the
 * copy from before it worthless. Handed over again when the developer has logged in again.
 */
export async function handOverLogins(
  provider: OwnProvider,
  {
    developer,
    agent,
    place,
    agentSide,
  }: {
    developer: Identity;
    agent: Identity;
    place: DeveloperPlace;
    agentSide: AgentPlace;
  },
): Promise<void> {
  const path = authFile(agentSide);
  const record = join(place.dir, "logins.json");
  const given = provider.logins === null ? {} : (JSON.parse(provider.logins) as Record<string, Login>);
  const there = parsed<Login>(await readAs(agent, path));
  const before = parsed<string>(await readAs(developer, record));
  const result: Record<string, Login> = {};
  for (const [id, login] of Object.entries(given)) {
    const isAsBefore = before[id] === sha256(login) && there[id] !== undefined;
    result[id] = isAsBefore ? (there[id] as Login) : login;
    say(
      `your login with ${id} is with opencode on the agent's side, which renews it${isAsBefore ? "" : ": log in again in your own opencode if that asks you to"}; the agent's commands do not see it`,
    );
  }
  // Keys that an earlier version put there go.
  if (Object.keys(result).length > 0 || Object.keys(there).length > 0)
    await writeAs(agent, path, JSON.stringify(result, null, 2));
  if (Object.keys(given).length > 0 || Object.keys(before).length > 0) {
    const hashes = Object.fromEntries(Object.entries(given).map(([id, login]) => [id, sha256(login)]));
    await writeAs(developer, record, JSON.stringify(hashes, null, 2));
  }
}

function parsed<T>(text: string | null): Record<string, T> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return isObject(value) ? (value as Record<string, T>) : {};
  } catch {
    return {};
  }
}
