/**
 * What opencode and the review server can reach, in the ring that `npm start` puts around them: tried by opencode's own file
 * tools, with all permission, and by a program that opencode runs. Nothing of it survives the stop. And what the project's own
 * check can reach, which the server runs in a ring of its own in that one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { type ScriptedModel, startScriptedModel, textOf } from "../../demo/scripted-model.ts";
import { readRefusals } from "../../sandbox/refusals.ts";
import { ARCHITECTURES } from "../../sandbox/system-calls.ts";
import { type Escape, escapeScript } from "../support/escapes.ts";
import { askHost } from "../support/host.ts";
import { isRoot, Launcher, type Started } from "../support/launcher.ts";
import { CHECK_ESCAPES, CLONE_ESCAPES, OUTER_ESCAPES, STAYS } from "../support/outer-escapes.ts";
import { descendants, must, processList, run } from "../support/processes.ts";
import { ROOT, until } from "../support/scene.ts";
import { type Services, startRegistry, startServices } from "../support/services.ts";

const ORDINARY = 54_321;
const MCP_SERVER = join(ROOT, "test-harness/support/mcp-server.ts");
const readable =
  run(["setpriv", `--reuid=${ORDINARY}`, "test", "-r", `${ROOT}/scripts/start/main.ts`]).code === 0;

/** What the check leaves behind. */
const LEFT_BY_CHECK = "sleep 54323";

interface Outcome {
  /** By name, from the project's own check: "got" or "refused". */
  results: Map<string, string>;
  /** The server's answer to that check. */
  checked: Record<string, unknown>;
  /** The same from an MCP server that opencode was told of while it ran. */
  fromServer: Map<string, string>;
  /** What the developer's own MCP server answered, which the launcher was told to give the agent. */
  fromGiven: string;
  /** What the review server says is behind what it was told was refused, by target. */
  commands: Record<string, string | undefined>;
  /** What the file tools said. */
  files: string[];
  /** What the tool said that fetches from the web. */
  page: string;
}

/** The check, and what it tries, are of the project: the model publishes them once they are there. */
/** Of a system call that nothing else of these tests tries. */
const numberOf = (name: string) =>
  [...(ARCHITECTURES[process.arch]?.names ?? [])].find(([, one]) => one === name)?.[0] ?? 0;
const WAIT = "until [ -e go ]; do sleep 0.05; done; rm go";
/** What a check that tells the truth may do. */
const HONEST = `
echo "home has $(ls -A ~ | wc -l)"
curl -sS http://check-asks.example/ > /dev/null
perl -e 'syscall(${numberOf("bpf")}, 0, 0, 0)'
[ -f new.txt ] && echo x > made && echo x > ~/made && echo x > /tmp/made && [ ! -e .git ] && echo honest
setsid nohup ${LEFT_BY_CHECK} > /dev/null 2>&1 &
sleep 0.2
`;

/** What an MCP server may do: write the clone, and its home, which is none of a command's. */
const SERVES = `
perl -e 'syscall(${numberOf("kcmp")}, 1, 1, 0, 0, 0)'
curl -sS http://server-asks.example/ > /dev/null
echo by-server > by-server && echo x > ~/made && echo "serves $(cat new.txt) $(ls -A ~ | tr '\\n' ' ')"
`;

async function setModel(launcher: Launcher, page: string): Promise<ScriptedModel> {
  const { scene } = launcher;
  const file = (filePath: string) => ({ tool: "read", args: { filePath } });
  const turns = [
    { calls: [{ tool: "bash", args: { command: WAIT, description: "Wait" } }] },
    { calls: [{ tool: "write", args: { filePath: "new.txt", content: "new\n" } }] },
    { calls: [{ tool: "publish_suggestion", args: { description: "A new file" } }] },
    {
      calls: [
        file(scene.path("developer-home/secret.txt")),
        file(scene.path("project/a.txt")),
        file("/etc/shadow"),
        { tool: "webfetch", args: { url: page, format: "text" } },
        { tool: "tries_run", args: { script: "server-tries.sh" } },
      ],
    },
    { text: "Tried." },
  ];
  const model = await startScriptedModel({ script: { conversations: [{ when: "Try it", turns }] } });
  scene.atEnd(() => model.stop());
  launcher.configure({
    // The developer allows everything: what holds is the ring alone.
    permission: { external_directory: "allow", read: "allow", edit: "allow" },
    mcp: {
      tries: {
        type: "local",
        command: ["bun", "mcp-server.ts"],
        environment: { GIVEN: "{env:LAUNCHER_SECRET}" },
      },
      unnamed: triesAsServer("unnamed"),
    },
    provider: {
      own: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL: model.url, apiKey: "key-sentinel" },
        models: { "m-1": { tool_call: true, limit: { context: 200_000, output: 8192 } } },
      },
    },
  });
  return model;
}

/** The launcher itself, below npm or started by hand. */
const launcherOf = ({ running }: Started): number => {
  const below = new Set([running.pid, ...descendants(running.pid)]);
  const main = processList().filter(
    ({ pid, command }) => below.has(pid) && /^bun .*start\/main\.ts/.test(command),
  );
  return main.at(-1)?.pid ?? running.pid;
};

/** Starts on a repository, lets the model try its file tools, and then the server's own check try the rest. */
async function tryAll(
  launcher: Launcher,
  { model, services }: { model: ScriptedModel; services: Services },
  args: string[],
): Promise<Outcome & { started: Started }> {
  const { scene } = launcher;
  const asked = model.requests.length;
  const project = scene.path("project");
  const started = await launcher.start(
    [project, "--ask", "Try it", "--verify-command", "bash tries.sh", "--mcp", "tries", ...args],
    { LAUNCHER_SECRET: "secret" },
  );
  const { agent_repo: repo } = started.ready;
  const dir = dirname(repo);
  const variables = {
    ...outsideOf(launcher, started, { model, services }),
    STATE: join(dir, "state"),
    HUB: must(["sh", "-c", `echo '${dir}'/state/git/*.git`]).trim(),
    CONFIG: join(dir, "config"),
    AGENT_HOME: join(dir, "home"),
    NETWORK: join(dir, "network"),
    REVIEW: new URL(started.ready.url).port,
    ...serverOf(started),
  };
  writeFileSync(join(dir, "home/tries.sh"), escapeScript(variables, OUTER_ESCAPES), { mode: 0o644 });
  const inClone = args.includes("--no-cage") ? [] : CLONE_ESCAPES;
  for (const [name, text] of [
    ["tries.sh", `${escapeScript(variables, CHECK_ESCAPES)}${HONEST}`],
    ["server-tries.sh", `${escapeScript(variables, [...CHECK_ESCAPES, ...inClone])}${SERVES}`],
    ["go", ""],
  ] as const) {
    writeFileSync(join(repo, name), text, { mode: 0o644 });
    chownSync(join(repo, name), statSync(repo).uid, statSync(repo).gid);
  }
  const shown = await until(
    "the model is shown what its file tools said",
    () =>
      model.requests
        .slice(asked)
        .find(({ messages }) => messages.filter(({ role }) => role === "tool").length >= 8),
    60_000,
  );
  const said = shown.messages.filter(({ role }) => role === "tool").map(textOf);
  const [files, page = "", fromGiven = ""] = [said.slice(3, 6), said[6], said[7]];

  const suggestion = started.curl.list().at(-1);
  if (suggestion === undefined) throw new Error("nothing was published");
  for (const hunk of started.curl.hunks(suggestion.id)) started.curl.decide(hunk, "accept");
  const { body } = started.curl.post("/verify", { suggestion_id: suggestion.id });
  const results = resultsIn(String(body.output));
  const checked = body;
  const fromServer = await fromAddedServer(started);
  const commands = args.includes("--no-cage") ? {} : await commandsOf(started);
  const got = [...results.values()].filter((one) => one === "got").length;
  scene.say(`${got} of ${results.size} tries got through`);
  return { started, results, checked, fromServer, fromGiven, commands, files, page };
}

function outsideOf(
  { scene }: Launcher,
  started: Started,
  { model, services }: { model: ScriptedModel; services: Services },
): Record<string, string> {
  return {
    DEV_HOME: scene.path("developer-home"),
    TOKEN: started.ready.token_file,
    CHECKOUT: scene.path("project"),
    LAUNCHER: String(launcherOf(started)),
    MODEL: String(model.port),
    SERVICE: String(services.service),
    OWN: services.own,
    OWN_PORT: String(services.everywhere),
    ABSTRACT: services.abstract,
  };
}

/** Process of opencode and the review server, and opencode's port. */
function serverOf({ running }: Started): { SERVER: string; OPENCODE: string } {
  const below = new Set(descendants(running.pid));
  const server = processList().find(
    ({ pid, command }) => below.has(pid) && /^\S*opencode serve/.test(command) && !/setpriv/.test(command),
  );
  if (server === undefined) throw new Error("no opencode runs");
  return { SERVER: String(server.pid), OPENCODE: /--port (\d+)/.exec(server.command)?.[1] ?? "0" };
}

const ASKED = ["check-asks.example:80", "server-asks.example:80", "bpf", "kcmp"];

/** `GET /sandbox`, once the last refusal has got there. */
const commandsOf = ({ ready }: Started) =>
  until("the review server knows what was refused", async () => {
    const headers = { authorization: `Bearer ${readFileSync(ready.token_file, "utf8").trim()}` };
    const answer = await (await fetch(`${ready.url}/sandbox`, { headers })).json();
    const { refusals } = answer as { refusals: { target: string; command?: string }[] };
    const commands = Object.fromEntries(refusals.map(({ target, command }) => [target, command]));
    return ASKED.every((target) => target in commands) ? commands : null;
  });

/** Lines of {@link escapeScript}'s, by name. */
const resultsIn = (text: string): Map<string, string> =>
  new Map(
    text.split("\n").flatMap((line) => {
      const [, result, name] = /^(got|refused) (.*)$/.exec(line) ?? [];
      return result === undefined || name === undefined ? [] : [[name, result] as const];
    }),
  );

const homeOf = ({ ready }: Started) => join(dirname(ready.agent_repo), "home");
/** An MCP server that makes the tries, and writes what came of them into a file of its home. */
const triesAsServer = (file: string) => ({
  type: "local",
  command: [
    "sh",
    "-c",
    `bash "$HOME/tries.sh" > "$HOME/${file}.new" 2>&1; mv "$HOME/${file}.new" "$HOME/${file}"`,
  ],
  enabled: true,
});

/** opencode is told of a server, as somebody could who has its password. */
async function fromAddedServer(started: Started): Promise<Map<string, string>> {
  const said = join(homeOf(started), "added");
  rmSync(said, { force: true });
  // It never says a word of the protocol, so that opencode may give it up before or after.
  void askHost(started, "POST", "/mcp", { name: "added", config: triesAsServer("added") }).catch(
    () => undefined,
  );
  await until("the MCP server has tried everything", () => existsSync(said), 30_000);
  return resultsIn(readFileSync(said, "utf8"));
}

/** A server in settings that opencode loads from its home, as the agent's user. */
function plantServer(started: Started): string {
  const home = homeOf(started);
  const { uid, gid } = statSync(home);
  const folder = join(home, ".opencode");
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "opencode.json"),
    JSON.stringify({ mcp: { planted: triesAsServer("planted") } }),
  );
  for (const path of [folder, join(folder, "opencode.json")]) chownSync(path, uid, gid);
  return join(home, "planted");
}

const staying = () => processList().filter(({ command }) => command === STAYS);
const agentsOf = (launcher: Launcher) =>
  processList().filter(
    ({ command }) => /opencode serve|scripted-model/.test(command) && ofScene(launcher, command),
  );
const ofScene = (launcher: Launcher, command: string) =>
  command.includes(launcher.scene.dir) || command.includes(launcher.base);

/** Of a try that leaves a program behind: whether it is gone is seen after the stop. */
const LEFT = "leaving something running";

/** @param held whether a try is refused without the ring, too, by what it is told to be held by there */
function holds(who: string, possible: boolean, make: () => Launcher, held: (by?: string) => boolean): void {
  // Skipped where this kind of user cannot be had: the other one is then tried alone.
  describe.skipIf(!possible)(who, () => {
    let launcher: Launcher;
    let world: { model: ScriptedModel; services: Services };
    let inRing: Outcome & { started: Started };
    /** What a planted server would write, and what opencode knew of servers when it had been planted. */
    let planted = "";
    let known = "planted";

    beforeAll(async () => {
      launcher = make();
      const home = launcher.scene.folder("developer-home");
      launcher.scene.write("developer-home/secret.txt", "sentinel\n");
      const files = { "a.txt": "one\n", "mcp-server.ts": readFileSync(MCP_SERVER, "utf8") };
      must(["chmod", "-R", "a+rX", home, launcher.repository("project", files)]);
      const registry = startRegistry(launcher.scene);
      const model = await setModel(launcher, `${registry.url}${registry.package}`);
      world = { model, services: startServices(launcher.scene) };
      inRing = await tryAll(launcher, world, []);
    }, 180_000);
    afterAll(() => launcher?.scene.close(), 60_000);

    for (const { name } of OUTER_ESCAPES.filter((one) => one.name !== LEFT))
      test(`${who}, from an MCP server: ${name}`, () => expect(inRing.fromServer.get(name)).toBe("refused"));
    for (const { name } of CHECK_ESCAPES)
      test(`${who}, from the project's own check: ${name}`, () =>
        expect(inRing.results.get(name)).toBe("refused"));

    for (const { name } of [...CHECK_ESCAPES, ...CLONE_ESCAPES])
      test(`${who}, from an MCP server of the developer's: ${name}`, () =>
        expect(resultsIn(inRing.fromGiven).get(name)).toBe("refused"));

    test(`${who}: an MCP server of the developer's is asked and answers through its ring, and has its own home`, () => {
      expect(inRing.fromGiven).toContain("given secret\n");
      expect(inRing.fromGiven).toContain("\nserves new made");
      expect(inRing.started.running.err).toContain(
        "the MCP server tries runs in a cage of its own, and is given GIVEN",
      );
      // One that was not named stays with the developer.
      expect(existsSync(join(homeOf(inRing.started), "unnamed"))).toBe(false);
    });

    test(`${who}: what a check and an MCP server are refused is told of them`, () => {
      expect(inRing.commands).toMatchObject({
        "check-asks.example:80": "bash tries.sh",
        "server-asks.example:80": "the MCP server tries",
        bpf: "bash tries.sh",
        kcmp: "the MCP server tries",
      });
    });

    test(`${who}: a check that tells the truth has its tree, a new home and /tmp, and passes`, () => {
      expect(inRing.checked).toMatchObject({ ok: true, exit_code: 0 });
      // It has run before, as the last hunk was decided.
      expect(inRing.checked.output).toContain("\nhome has 0\nhonest\n");
    });

    test(`${who}: what a check leaves behind ends with it`, () =>
      until("nothing is left of it", () => !processList().some(({ command }) => command === LEFT_BY_CHECK)));

    test(`${who}: opencode's file tools, which may read everything, find nothing of the developer's`, () => {
      expect(inRing.files.length).toBe(3);
      for (const said of inRing.files) expect(said).toMatch(/not found|no such|denied|EACCES|ENOENT/i);
    });

    test(`${who}: opencode's web tool reaches no host that is not on the list, and that is noted for the developer`, () => {
      expect(inRing.page).not.toContain("dist-tags");
      const noted = readRefusals(join(dirname(inRing.started.ready.token_file), "refusals.jsonl"));
      expect(noted).toContainEqual(
        expect.objectContaining({ host: hostname(), reason: "not-allowed", door: "host" }),
      );
    });

    test(`${who}: what left its session and its group is gone with the launcher, however that ends`, async () => {
      // Of the MCP server's.
      expect(staying().length).toBeGreaterThan(0);
      const main = launcherOf(inRing.started);
      process.kill(main, "SIGKILL");
      await until("nothing is left", () => staying().length === 0 && agentsOf(launcher).length === 0, 10_000);
      await inRing.started.running.stop();
      // And the next start goes on there; what was planted in opencode's home is not loaded.
      planted = plantServer(inRing.started);
      const again = await launcher.start([launcher.scene.path("project")]);
      known = JSON.stringify(await askHost(again, "GET", "/mcp"));
      const [suggestion, ...others] = again.curl.list();
      expect(others).toEqual([]);
      // Else the next one would go on with it.
      again.curl.post("/complete", { suggestion_id: suggestion?.id, action: "discard" });
      await launcher.stop(again);
    }, 120_000);

    test(`${who}: an MCP server that was planted in opencode's home is not started`, () => {
      expect(known).not.toContain("planted");
      expect(existsSync(planted)).toBe(false);
    });

    test(`${who}, without the cage the same tries get through, from an MCP server and a planted one, too`, async () => {
      const open = await tryAll(launcher, world, ["--no-cage"]);
      await until("the planted server has tried everything", () => existsSync(planted), 30_000);
      await launcher.stop(open.started);
      const all = (escapes: readonly Escape[]) =>
        Object.fromEntries(escapes.map(({ name, heldBy }) => [name, held(heldBy) ? "refused" : "got"]));
      expect(Object.fromEntries(open.results)).toEqual(all(CHECK_ESCAPES));
      expect(Object.fromEntries(open.fromServer)).toEqual(all(OUTER_ESCAPES));
      expect(Object.fromEntries(resultsIn(open.fromGiven))).toEqual(all(CHECK_ESCAPES));
      expect(resultsIn(readFileSync(planted, "utf8")).size).toBeGreaterThan(0);
      expect(open.files.join("\n")).toContain("sentinel");
      expect(open.page).toContain("dist-tags");
    }, 180_000);
  });
}

holds(
  "a user of its own",
  isRoot,
  () => new Launcher("outer"),
  (by) => by !== undefined && by !== LEFT,
);
holds(
  "an ordinary user",
  !isRoot || readable,
  () => new Launcher("outer-own", isRoot ? ORDINARY : null),
  (by) => by === "root",
);
