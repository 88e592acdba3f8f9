/** What of the developer's providers goes to opencode, and what to the gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { behindGateway, handOverLogins } from "../../../scripts/start/gateway.ts";
import { sameUser } from "../../../scripts/start/identity.ts";
import { remoteWay, whatIsDirect } from "../../../scripts/start/open-network.ts";
import { type AgentPlace, agentPlace, developerPlace } from "../../../scripts/start/places.ts";
import type { OwnProvider } from "../../../scripts/start/providers.ts";
import { hostIn, withoutLogin } from "../../../scripts/start/reachable.ts";
import { Scene } from "../../support/scene.ts";

const scene = new Scene("providers");
const developer = sameUser();
const cache = process.env.XDG_CACHE_HOME;
beforeAll(() => {
  process.env.XDG_CACHE_HOME = scene.folder("cache");
  scene.write(
    "cache/opencode/models.json",
    JSON.stringify({ kept: { api: "https://api.kept.example/v1", env: ["KEPT_TOKEN"] }, odd: 3 }),
  );
});
afterAll(async () => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  await scene.close();
});

const own = (change: Partial<OwnProvider>): OwnProvider => ({
  settings: {},
  env: {},
  logins: null,
  files: [],
  ...change,
});
const gated = (change: Partial<OwnProvider>) => behindGateway(own(change), developer, 4100);
const KEY = "sk-secret-1";

describe("the keys of providers stay outside", () => {
  const inside = async (change: Partial<OwnProvider>, id: string, base: string) => {
    const { provider, routes } = await gated(change);
    expect(JSON.stringify(provider)).not.toContain(KEY);
    const route = routes.find((one) => one.id === id);
    expect(route?.base).toBe(base);
    expect(route?.secrets.map(({ value }) => value)).toContain(KEY);
    const { options } =
      (provider.settings.provider as Record<string, { options: Record<string, string> }>)[id] ?? {};
    expect(options?.baseURL).toBe(`http://127.0.0.1:4100/${id}`);
    expect(route?.secrets.find(({ value }) => value === KEY)?.placeholder).toBe(options?.apiKey ?? "");
    return { provider, routes };
  };

  test("from the settings", async () => {
    const settings = {
      provider: { own: { npm: "x", options: { baseURL: "https://a.example/v1", apiKey: KEY } } },
    };
    await inside({ settings }, "own", "https://a.example/v1");
  });

  test("from a variable that the settings name, and the variable with it", async () => {
    const settings = {
      provider: { own: { options: { baseURL: "https://{env:HOST}/v1", apiKey: "{env:MY_KEY}" } } },
      agent: { build: { prompt: "on {env:HOST}" } },
    };
    const { provider } = await inside(
      { settings, env: { MY_KEY: KEY, HOST: "a.example" } },
      "own",
      "https://a.example/v1",
    );
    expect(provider.env).toEqual({ HOST: "a.example" });
  });

  test("from a log-in with a key", async () => {
    const logins = JSON.stringify({ anthropic: { type: "api", key: KEY } });
    const { provider } = await inside({ logins }, "anthropic", "https://api.anthropic.com/v1");
    expect(provider.logins).toBeNull();
  });

  test("from a variable of opencode's own catalogue", async () => {
    const { provider } = await inside({ env: { KEPT_TOKEN: KEY } }, "kept", "https://api.kept.example/v1");
    expect(provider.env).toEqual({});
    await inside(
      { env: { OPENAI_API_KEY: KEY }, settings: { model: "openai/m" } },
      "openai",
      "https://api.openai.com/v1",
    );
  });

  test("from headers and other secrets, of models too", async () => {
    const settings = {
      provider: {
        own: {
          options: {
            ...{ baseURL: "https://a.example/v1", apiKey: KEY, authToken: "t-secret" },
            headers: { "x-org": "h-secret" },
          },
          models: { m: { headers: { "x-m": "m-secret" }, limit: { context: 5 } } },
        },
      },
    };
    const { provider, routes } = await inside({ settings }, "own", "https://a.example/v1");
    for (const secret of ["t-secret", "h-secret", "m-secret"]) {
      expect(JSON.stringify(provider)).not.toContain(secret);
      expect(JSON.stringify(routes)).toContain(secret);
    }
    expect(JSON.stringify(provider)).toContain('"limit":{"context":5}');
  });

  test("and a start stops that would leave the chosen model without its key", async () => {
    const logins = JSON.stringify({ nobody: { type: "api", key: KEY } });
    const problem = gated({ logins, settings: { model: "nobody/m" } }).then(
      () => null,
      (error: Error) => error.message,
    );
    expect(await problem).toMatch(/The key of nobody stays outside.*provider\.nobody\.options\.baseURL/);
    const { provider } = await gated({ logins, settings: { model: "own/m" } });
    expect(JSON.stringify(provider)).not.toContain(KEY);
  }, 90_000);

  test("and an address that is none is refused by name", async () => {
    const settings = { provider: { own: { options: { baseURL: "ftp://a", apiKey: KEY } } } };
    await expect(gated({ settings })).rejects.toThrow(/provider own: baseURL/);
  });
});

describe("what opencode goes to by itself", () => {
  test("are the hosts that a login is known to need, and it is said that there are no others", async () => {
    const logins = JSON.stringify({ openai: { type: "oauth" }, stranger: { type: "oauth" } });
    const gate = await gated({ logins, settings: { model: "openai/m" } });
    const hosts = gate.direct.map((address) => new URL(address).host);
    expect(hosts.sort()).toEqual(["api.openai.com", "auth.openai.com", "chatgpt.com"]);
    const said = whatIsDirect(gate);
    expect(said).toMatch(
      /reaches .*auth\.openai\.com.* and no other host, for your login with openai, stranger/,
    );
    expect(said).toContain("npm run sandbox -- allow HOST");
  });

  test("are none where all is behind the gateway, and nothing is said", async () => {
    const options = { baseURL: "https://a.example/v1", apiKey: KEY };
    const gate = await gated({ settings: { provider: { own: { npm: "x", options } } } });
    expect(gate.direct).toEqual([]);
    expect(whatIsDirect(gate)).toBeNull();
  });

  test("is a remote on the web; one by ssh is said not to be reached, and a folder is no host", () => {
    const web = "https://forge.example/a.git";
    expect(remoteWay(web)).toEqual({ addresses: [web], problem: null });
    for (const remote of ["git@forge.example:a.git", "ssh://forge.example/a.git"])
      expect(remoteWay(remote)).toMatchObject({ addresses: [], problem: expect.stringContaining(remote) });
    for (const remote of ["/srv/a.git", undefined, ""])
      expect(remoteWay(remote)).toEqual({ addresses: [], problem: null });
  });
});

describe("a login that opencode renews", () => {
  const place = developerPlace(scene.folder("place"));
  const agentSide: AgentPlace = agentPlace(place, false);
  const who = { developer, agent: developer, place, agentSide };
  const file = `${agentSide.home}/.local/share/opencode/auth.json`;
  const login = (refresh: string) => JSON.stringify({ own: { type: "oauth", refresh } });
  const stored = () => JSON.parse(readFileSync(file, "utf8")) as { own?: { refresh: string } };

  test("goes in, is the agent's side's from then on, and goes in again when the developer has logged in again", async () => {
    const logins = JSON.stringify({
      own: { type: "oauth", refresh: "1" },
      anthropic: { type: "api", key: KEY },
    });
    const { provider } = await gated({ logins });
    await handOverLogins(provider, who);
    expect(readFileSync(file, "utf8")).not.toContain(KEY);
    expect(stored().own?.refresh).toBe("1");
    await Bun.write(file, login("1-renewed"));
    await handOverLogins(provider, who);
    expect(stored().own?.refresh).toBe("1-renewed");
    await handOverLogins(own({ logins: login("2") }), who);
    expect(stored().own?.refresh).toBe("2");
  });

  test("is taken away when the developer has logged out, and so are keys of an earlier version", async () => {
    await Bun.write(file, JSON.stringify({ anthropic: { type: "api", key: KEY } }));
    await handOverLogins(own({}), who);
    expect(readFileSync(file, "utf8")).toBe("{}");
  });
});

describe("hosts in settings of the machine", () => {
  for (const [address, host, port] of [
    ["https://registry.example/npm/", "registry.example", 443],
    ["http://user:word@registry.example:4873/", "registry.example", 4873],
    ["git@forge.example:group/project.git", "forge.example", 22],
    ["forge.example:project", "forge.example", 22],
    ["ssh://git@forge.example:2222/x", "forge.example", 2222],
    ["git://forge.example/x", "forge.example", 9418],
  ] as const)
    test(`${address} is ${host}:${port}`, () => expect(hostIn(address)).toEqual({ host, port }));
  for (const address of ["/srv/repository.git", "../other", "file:///srv/x", "", "https://", "http://a b/"])
    test(`${JSON.stringify(address)} is none`, () => expect(hostIn(address)).toBeNull());
  test("an address is passed on without its log-in", () => {
    expect(withoutLogin("https://user:word@registry.example/npm/")).toBe("https://registry.example/npm/");
  });
});
