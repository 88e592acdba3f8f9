/**
 * Where a provider is, when the developer's settings do not say: in opencode's catalogue, as the developer's own opencode has
 * kept it, else below, else by asking opencode.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Identity, runAs, writeAs } from "./identity.ts";
import { OFFLINE } from "./providers.ts";
import { say } from "./report.ts";

export interface KnownProvider {
  /** What the client is given as `baseURL`; null where it is not known. */
  base: string | null;
  /** Variables that opencode takes a key from. */
  variables: readonly string[];
}

/**
 * Providers whose address stands in their SDK and not in the catalogue: what opencode 1.18 takes when nothing else is given.
 * For the SDK of each, that is also the form of `baseURL`.
 */
const IN_THEIR_SDK: Readonly<Record<string, KnownProvider>> = {
  anthropic: { base: "https://api.anthropic.com/v1", variables: ["ANTHROPIC_API_KEY"] },
  cerebras: { base: "https://api.cerebras.ai/v1", variables: ["CEREBRAS_API_KEY"] },
  cohere: { base: "https://api.cohere.com/v2", variables: ["COHERE_API_KEY"] },
  deepinfra: { base: "https://api.deepinfra.com/v1", variables: ["DEEPINFRA_API_KEY"] },
  google: {
    base: "https://generativelanguage.googleapis.com/v1beta",
    variables: ["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"],
  },
  groq: { base: "https://api.groq.com/openai/v1", variables: ["GROQ_API_KEY"] },
  mistral: { base: "https://api.mistral.ai/v1", variables: ["MISTRAL_API_KEY"] },
  openai: { base: "https://api.openai.com/v1", variables: ["OPENAI_API_KEY"] },
  openrouter: { base: "https://openrouter.ai/api/v1", variables: ["OPENROUTER_API_KEY"] },
  perplexity: { base: "https://api.perplexity.ai", variables: ["PERPLEXITY_API_KEY"] },
  togetherai: { base: "https://api.together.xyz/v1", variables: ["TOGETHER_API_KEY"] },
  xai: { base: "https://api.x.ai/v1", variables: ["XAI_API_KEY"] },
};

/**
 * Where opencode 1.18 goes for a login that it renews, beside the provider's own address: only what is on the list is in its
 * reach.
 */
export const LOGIN_ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  "github-copilot": ["https://api.githubcopilot.com", "https://github.com", "https://api.github.com"],
  openai: ["https://auth.openai.com", "https://chatgpt.com"],
  xai: ["https://auth.x.ai", "https://api.x.ai"],
};

export type Catalogue = Readonly<Record<string, KnownProvider>>;

/** @param cacheHome the developer's XDG_CACHE_HOME */
export function readCatalogue(cacheHome: string): Catalogue {
  const known: Record<string, KnownProvider> = { ...IN_THEIR_SDK };
  let kept: unknown;
  try {
    kept = JSON.parse(readFileSync(join(cacheHome, "opencode/models.json"), "utf8"));
  } catch {
    return known;
  }
  for (const [id, value] of Object.entries((kept ?? {}) as Record<string, unknown>)) {
    const { api, env } = (value ?? {}) as { api?: unknown; env?: unknown };
    const variables = Array.isArray(env) ? env.filter((one): one is string => typeof one === "string") : [];
    const base = typeof api === "string" && api !== "" ? api : (known[id]?.base ?? null);
    known[id] = { base, variables: [...new Set([...variables, ...(known[id]?.variables ?? [])])] };
  }
  return known;
}

/** By convention, for a provider that no catalogue at hand has. */
export const variableOf = (id: string): string => `${id.toUpperCase().replace(/[^A-Z0-9]/g, "_")}_API_KEY`;

const ASK_MS = 30_000;

/** Asks the opencode of this project, which carries a catalogue; it takes seconds. @returns null when it does not know either */
export async function askOpencode(developer: Identity, id: string): Promise<string | null> {
  say(`asking opencode where the provider ${id} is`);
  const home = mkdtempSync(join(tmpdir(), "isolated-ai-coder-"));
  try {
    const settings = {
      provider: { [id]: { options: { apiKey: "none" } } },
      share: "disabled",
      autoupdate: false,
    };
    const env: Record<string, string> = {
      PATH: developer.env.PATH ?? "/usr/bin:/bin",
      HOME: home,
      ...OFFLINE,
    };
    for (const name of ["CONFIG", "DATA", "CACHE", "STATE"]) env[`XDG_${name}_HOME`] = join(home, name);
    const self: Identity = { ...developer, wrap: (command) => command };
    await writeAs(self, join(home, "CONFIG/opencode/opencode.json"), JSON.stringify(settings));
    const { stdout } = await runAs(self, ["opencode", "models", id, "--verbose"], {
      cwd: home,
      env,
      mayFail: true,
      timeoutMs: ASK_MS,
    });
    const urls = [...stdout.matchAll(/"url": "(https?:\/\/[^"]+)"/g)].map((match) => match[1] ?? "");
    const [first] = urls;
    return first !== undefined && urls.every((url) => url === first) ? first : null;
  } catch {
    return null;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
