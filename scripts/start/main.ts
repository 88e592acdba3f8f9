/** `npm start`: brings everything up, stays, and takes everything down again. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DEMO_PROMPT } from "../../demo/script.ts";
import { NAMED_CALLS } from "../../plugin/src/agent/refused-calls.ts";
import { forgetForeignRepositories } from "../../plugin/src/vcs/environment.ts";
import { whyNoSeparateUser } from "../../sandbox/user.ts";
import { agentEnvironment } from "./agent-side.ts";
import { cagedEnvironment } from "./cage.ts";
import { makeDemoCheckout, setRemote } from "./checkout.ts";
import { chooseAgent } from "./choose-agent.ts";
import { startModel } from "./demo-model.ts";
import { makeDeveloperFolders } from "./developer-side.ts";
import { handOverLogins } from "./gateway.ts";
import { Guard, type Stopped } from "./guard.ts";
import { findDeveloper, type Identity } from "./identity.ts";
import { keepRunning, lastOf } from "./keeper.ts";
import { findServers, type LocalServer, placeServers } from "./mcp.ts";
import { openNeovim, writeInit } from "./neovim.ts";
import { networkFiles } from "./network.ts";
import { demoProvider, openNetwork } from "./open-network.ts";
import { type Opencode, prompt, startOpencode, tailOf, Watch, writeConfiguration } from "./opencode.ts";
import { parseOptions, type StartOptions, USAGE } from "./options.ts";
import {
  type AgentPlace,
  agentPlace,
  agentUserOf,
  type DeveloperPlace,
  demoDirs,
  developerPlace,
  nextDemoDir,
  projectDir,
  reachableAt,
  readRun,
  readState,
  remoteUrl,
  serverUrl,
  writeRun,
  writeState,
} from "./places.ts";
import { claimPort, freePort } from "./ports.ts";
import { endRun, isAlive, Supervisor, startTime } from "./processes.ts";
import { type Protection, protectionVariable } from "./protection.ts";
import { CLOSED, findOwnProvider, handOver, OFFLINE, type OwnProvider } from "./providers.ts";
import { type Ready, readyText } from "./ready.ts";
import { reportRefusals } from "./refusals.ts";
import { openRelays, type Relays } from "./relays.ts";
import { fail, holdLines, patiently, StartError, say, step } from "./report.ts";
import { inspectRepository, type Repository } from "./repository.ts";
import { ReviewServer, type SuggestionRow } from "./review-server.ts";
import { makeRing } from "./ring.ts";
import { remember, setUp } from "./set-up.ts";

const PUBLISH_MS = 180_000;

interface Session {
  options: StartOptions;
  developer: Identity;
  agent: Identity;
  protection: Protection;
  place: DeveloperPlace;
  agentSide: AgentPlace;
  port: number;
  /** Where clients on this machine reach the server. */
  host: string;
  demo: boolean;
  /** The developer's own; null for the demo's scripted model. */
  provider: OwnProvider | null;
  /** The developer's MCP servers that the agent has. */
  servers: readonly LocalServer[];
}

/** What has to be taken down again. */
const up: {
  supervisor: Supervisor | null;
  relays: Relays | null;
  guard: Guard | null;
  beforeStop: (() => Promise<void>) | null;
  leaving: Promise<never> | null;
} = { supervisor: null, relays: null, guard: null, beforeStop: null, leaving: null };

async function takeDown(): Promise<void> {
  await up.supervisor?.stop();
  await up.relays?.stop();
  up.guard?.end();
  up.guard = null;
}

/** Stops everything, once. */
function leave(code: number): Promise<never> {
  up.leaving ??= (async () => {
    await up.beforeStop?.().catch(() => undefined);
    if (up.supervisor !== null) {
      const started = performance.now();
      await takeDown();
      say(`stopped everything (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    }
    process.exit(code);
  })();
  return up.leaving;
}

function watchSignals(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => void leave(code));
  }
  // A parent that was killed passes no signal on.
  const parent = { pid: process.ppid, started: startTime(process.ppid) };
  setInterval(() => {
    if (!isAlive(parent)) void leave(143);
  }, 500).unref();
}

/** The demo under review, or a folder for a new one. */
function chooseDemo(fresh: boolean, separate: boolean): DeveloperPlace {
  const last = demoDirs().at(-1);
  if (last === undefined || fresh) return developerPlace(nextDemoDir());
  const place = developerPlace(last);
  const state = readState(place);
  if (state === null || state.finished) return developerPlace(nextDemoDir());
  if (state.agent.separate !== separate || (separate && state.agent.user !== agentUserOf(place))) {
    say(
      `the demo in ${last} was begun with the agent as ${state.agent.user}: it is kept, and a new one is started`,
    );
    return developerPlace(nextDemoDir());
  }
  if (!existsSync(state.checkout) || !existsSync(state.agent.repo)) {
    say(`the demo in ${last} has lost a part of its folders: it is kept as it is, and a new one is started`);
    return developerPlace(nextDemoDir());
  }
  return place;
}

/** Refuses a second start of the same thing; ends what a killed launcher left behind. */
async function clearTheWay(place: DeveloperPlace): Promise<void> {
  const run = readRun(place);
  if (run === null) return;
  if (isAlive(run.launcher)) {
    throw new StartError(
      `It is running already (process ${run.launcher.pid}), at http://127.0.0.1:${run.port}: stop that one with Ctrl-C first`,
    );
  }
  await step("ended what a killed start had left running", () => endRun(run));
}

/** Waits for a published suggestion, telling what the agent does meanwhile. */
async function awaitSuggestion(
  server: ReviewServer,
  opencode: Opencode,
  watch: Watch,
): Promise<SuggestionRow> {
  const deadline = performance.now() + PUBLISH_MS;
  for (;;) {
    await watch.look();
    const open = (await server.suggestions()).find((one) => one.state === "open");
    if (open !== undefined) return open;
    if (opencode.child.hasEnded())
      throw new StartError(`${await opencode.child.ended}. ${tailOf(opencode.log)}`);
    if (watch.error !== null) throw new StartError(`The agent stopped: ${watch.error}`);
    if (performance.now() > deadline) {
      throw new StartError(
        `The agent published nothing within ${PUBLISH_MS / 1000} s. The end of ${opencode.log}:\n${tailOf(opencode.log)}`,
      );
    }
    await Bun.sleep(150);
  }
}

const described = (one: SuggestionRow) =>
  `“${one.description.split("\n", 1)[0]}” (${one.hunk_count} hunks in ${one.files.length} files${one.reviewed_count > 0 ? `, ${one.reviewed_count} reviewed` : ""})`;

interface Up {
  opencode: Opencode;
  startAgain: () => Promise<Opencode>;
  server: ReviewServer;
  remoteName: string;
  existing: SuggestionRow[];
}

/** Everything from folders to a running review server. */
async function bringUp(session: Session, repository: Repository): Promise<Up> {
  const { options, developer, agent, place, agentSide, port, host, demo } = session;
  for (const remark of repository.remarks) say(remark);
  const ringed = options.cage && session.protection.noRing === null;
  const model = await freePort();
  const ways = { ...session, ringed, model, remote: options.server["sync.remote"] };
  const { caged, token } = await setUp(session, repository, options, () => openNetwork(ways, repository.dir));
  const provider = caged === null ? session.provider : caged.network.provider;
  const remembered = readState(place)?.remote;
  const remote = await setRemote(repository, developer, place, remoteUrl(agentSide, port, host), remembered);
  if (remote.added && !demo) say(`added the remote "${remote.name}" to your repository`);
  await writeInit(place, developer, { port, host }, demo);
  remember(place, agent, agentSide, remote.name);

  const supervisor = new Supervisor(place.run, port, agentSide.separate ? agent.uid : null, (run) =>
    writeRun(place, run),
  );
  up.supervisor = supervisor;
  let env: Record<string, string> = {
    ...agentEnvironment(agentSide, agent),
    ...CLOSED,
    ...protectionVariable(session.protection),
  };
  if (caged !== null) env = { ...env, ...cagedEnvironment(caged.cage) };
  let calls: ReadonlyMap<string, string> = new Map();
  if (provider === null) {
    await startModel(supervisor, session, model);
    env = { ...env, ...OFFLINE };
    const settings = demoProvider(ringed, model);
    writeConfiguration(agentSide, agent, settings, { ...options.server, port }, options.cage);
  } else {
    if (caged === null) await handOver(provider, agent, agentSide);
    else await handOverLogins(provider, session);
    const registry = ringed ? (caged?.network.registry ?? null) : null;
    env = { ...env, ...(registry === null ? {} : { npm_config_registry: registry }), ...provider.env };
    const mcp = await placeServers(session.servers, agentSide, agent, caged?.wishes ?? null);
    const settings = { ...provider.settings, mcp: mcp.settings };
    calls = mcp.calls;
    env = { ...env, [NAMED_CALLS]: JSON.stringify(Object.fromEntries(calls)) };
    writeConfiguration(agentSide, agent, settings, { ...options.server, port }, options.cage);
  }
  const inRing = { show: options.show, server: options.server, env };
  const ring =
    ringed && caged !== null
      ? await makeRing(agentSide, agent, { ...inRing, shares: caged.wishes.shares })
      : null;
  const bind = String(options.server.host ?? "127.0.0.1");
  up.relays = await openRelays({ place, developer, agentSide, agent, bind, host, port, token, ringed });
  const log = join(place.log, "opencode.log");
  const within = caged?.cage.within ?? [];
  const startAgain = () =>
    startOpencode({ supervisor, place: agentSide, agent, env, log, port, host, ring, within });
  // Before there is a server, nothing is told to it.
  const told: Stopped[] = [];
  let tell = (stopped: readonly Stopped[]): void => void told.push(...stopped);
  if (caged !== null) {
    const hosts = () => supervisor.running("opencode");
    const of = { place: agentSide, wishes: options.limits, shares: caged.wishes.shares, hosts, ringed };
    up.guard = new Guard({ ...of, tell: (it) => tell(it) });
  }
  const opencode = await step("started opencode with the plugin", () =>
    patiently("starting opencode", startAgain),
  );
  const server = new ReviewServer(serverUrl(host, port), token);
  if (caged !== null) {
    tell = reportRefusals(networkFiles(place).refusals, server, calls);
    tell(told);
  }
  return { opencode, startAgain, server, remoteName: remote.name, existing: await server.suggestions() };
}

async function start(options: StartOptions): Promise<number> {
  const developer = findDeveloper();
  const noSeparate = options.sameUser ? "--same-user was given" : whyNoSeparateUser();
  const separate = noSeparate === null;
  const demo = options.repository === null;

  let repository =
    options.repository === null ? null : await inspectRepository(options.repository, developer);
  let place =
    repository === null
      ? chooseDemo(options.fresh, separate)
      : developerPlace(projectDir(repository.dir), repository.dir);
  if (
    repository !== null &&
    readState(place) === null &&
    repository.dirty.length > 0 &&
    !options.allowDirty
  ) {
    const shown = repository.dirty.slice(0, 3).join(", ");
    const more = repository.dirty.length > 3 ? ` and ${repository.dirty.length - 3} more` : "";
    throw new StartError(
      `${repository.dir} has uncommitted changes (${shown}${more}), which the agent would not see: commit or stash them (in jj, move the bookmark), or add --allow-dirty`,
    );
  }
  await clearTheWay(place);
  const provider = demo ? null : await findOwnProvider(developer, options.pass);
  const servers = await findServers(developer, options.mcp);
  const host = reachableAt(String(options.server.host ?? "127.0.0.1"));
  const port = await claimPort(options.port, String(options.server.host ?? "127.0.0.1"));

  for (;;) {
    const { agent, protection } = await chooseAgent(options, noSeparate, place);
    const resumed = readState(place) !== null;
    makeDeveloperFolders(place, developer);
    if (demo) {
      if (!resumed)
        await step(`made a demo project in ${place.checkout}`, () => makeDemoCheckout(place, developer));
      repository = await inspectRepository(place.checkout, developer);
    }
    if (repository === null) throw new StartError("There is no repository");
    const given = options.server.state_dir;
    const stateDir = given === undefined ? readState(place)?.agent.state : resolve(String(given));
    const agentSide = agentPlace(place, separate, stateDir);
    const of = { options, developer, agent, protection, place, agentSide };
    const session: Session = { ...of, port, host, demo, provider, servers };
    const running = await bringUp(session, repository);
    up.beforeStop = async () => {
      const all = await running.server.suggestions();
      const state = readState(place);
      if (demo && state !== null && all.length > 0 && all.every((one) => one.state !== "open")) {
        writeState(place, { ...state, finished: true });
      }
    };
    let open = running.existing.find((one) => one.state === "open");
    if (demo && resumed && open === undefined) {
      say(
        running.existing.length > 0
          ? `the review in ${place.dir} is finished: it is kept, and a new demo is started`
          : `the demo in ${place.dir} was stopped before its agent had published: it is kept, and a new one is started`,
      );
      await takeDown();
      const state = readState(place);
      if (state !== null) writeState(place, { ...state, finished: true });
      place = developerPlace(nextDemoDir());
      continue;
    }
    if (open !== undefined) {
      say(`going on with ${described(open)}`);
    } else if (demo) {
      open = await step("the agent has published a suggestion", async () => {
        const id = await prompt(running.opencode, DEMO_PROMPT);
        return awaitSuggestion(running.server, running.opencode, new Watch(running.opencode, id));
      });
      say(`ready for review: ${described(open)}`);
    } else if (options.ask !== null) {
      await prompt(running.opencode, options.ask);
      say("the agent is at work on your prompt");
    }
    return present(session, running, repository, open !== undefined);
  }
}

/** Hands over to the person: Neovim on a terminal, else a description, until they have had enough. */
async function present(
  session: Session,
  running: Up,
  repository: Repository,
  review: boolean,
): Promise<number> {
  const { options, developer, agent, place, agentSide, port, host, demo } = session;
  const ready: Ready = {
    url: serverUrl(host, port),
    token_file: place.token,
    checkout: repository.dir,
    agent_repo: agentSide.repo,
    remote: remoteUrl(agentSide, port, host),
  };
  const startAgain = async () => {
    await up.supervisor?.clearOrphans();
    return running.startAgain();
  };
  const keeper = keepRunning(running.opencode, startAgain, () => up.leaving !== null);
  const told = keeper.ended.then((why) => say(lastOf(why, running.opencode.log)));
  if (!options.headless && process.stdin.isTTY && process.stdout.isTTY) {
    // The screen is Neovim's: what is to be said meanwhile is said after it.
    const release = holdLines();
    const code = await openNeovim(place, developer, demo, review);
    release();
    return code;
  }
  if (options.json) process.stdout.write(`${JSON.stringify(ready)}\n`);
  else process.stdout.write(readyText(ready, place, agentSide, agent.name, running.remoteName));
  await told;
  return 1;
}

forgetForeignRepositories();
watchSignals();
try {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(USAGE);
  } else {
    await leave(await start(options));
  }
} catch (error) {
  if (up.leaving !== null) await up.leaving;
  await takeDown();
  fail(error);
}
