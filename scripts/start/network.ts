/**
 * The network's own process (sandbox/network/main.ts): started as the developer, outside of every ring, and kept running as
 * long as the launcher is. What it may reach from the start is found out here, from the machine's own settings.
 */
import { chmodSync, chownSync, closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Route } from "../../sandbox/network/gateway.ts";
import { defaultsText } from "../../sandbox/network/list.ts";
import type { NetworkConfig } from "../../sandbox/network/main.ts";
import type { Entry } from "../../sandbox/network/rules.ts";
import { makeFolder } from "./agent-side.ts";
import { type Identity, writeAs } from "./identity.ts";
import { type AgentPlace, type DeveloperPlace, ROOT } from "./places.ts";
import { StartError, say } from "./report.ts";

/** What reaches the developer's own machine and the model's provider through other proxies and certificates. */
export const PASSED = [
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  ...["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"],
];

const READY_MS = 15_000;
const PAUSE_MS = 500;
/** Ends this often within {@link LASTED_MS} each are not put right by another start. */
const ATTEMPTS = 5;
const LASTED_MS = 60_000;

/** Where the lists and the refusals of a project are: the developer's, in no ring. */
export const networkFiles = (place: DeveloperPlace) => ({
  rules: join(place.dir, "network.json"),
  defaults: join(place.dir, "network-defaults.json"),
  refusals: join(place.dir, "refusals.jsonl"),
});

export interface NetworkWishes {
  developer: Identity;
  agent: Identity;
  place: DeveloperPlace;
  agentSide: AgentPlace;
  /** What may be reached from the start, by door. */
  defaults: { command: readonly Entry[]; host: readonly Entry[] };
  /** See {@link NetworkConfig}. */
  gateway: number | null;
  routes: readonly Route[];
}

/** Folder of the sockets, in the agent's place: the rings are shown it, and only the developer writes there. */
export function makeSocketFolder({
  developer,
  agent,
  agentSide,
}: Pick<NetworkWishes, "developer" | "agent" | "agentSide">): void {
  makeFolder(agentSide.network, 0o700);
  if (!agentSide.separate) return;
  chownSync(agentSide.network, developer.uid, agent.gid);
  chmodSync(agentSide.network, 0o750);
}

/** The developer, with the agent's group where the way to the sockets needs it. */
function asKeeper({ developer, agent, agentSide }: NetworkWishes, command: string[]): string[] {
  if (!agentSide.separate || developer.uid === process.getuid?.()) return command;
  return [
    ...["setpriv", `--reuid=${developer.uid}`, `--regid=${developer.gid}`],
    ...[`--groups=${developer.gid},${agent.gid}`, "--no-new-privs", "--"],
    ...command,
  ];
}

/** Ends the one that runs: a launcher has one at a time. */
let stop: () => void = () => undefined;

/** @throws StartError when it does not come up */
export async function startNetwork(wishes: NetworkWishes): Promise<void> {
  stop();
  const { developer, place, defaults, gateway, routes } = wishes;
  const files = networkFiles(place);
  await writeAs(developer, files.defaults, defaultsText(defaults));
  const group = wishes.agentSide.separate ? wishes.agent.gid : null;
  const config: NetworkConfig = { ...files, group, gateway, routes };
  let current = await spawn(wishes, config);
  let isStopped = false;
  stop = () => {
    isStopped = true;
    current.kill();
  };
  void keep(
    () => current,
    async () => {
      current = await spawn(wishes, config);
    },
    () => isStopped,
  );
}

interface Running {
  ended: Promise<string>;
  kill(): void;
}

async function spawn(wishes: NetworkWishes, config: NetworkConfig): Promise<Running> {
  const main = join(ROOT, "sandbox/network/main.ts");
  const passed = PASSED.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  const log = openSync(join(wishes.place.log, "network.log"), "a", 0o600);
  const child = Bun.spawn(asKeeper(wishes, [process.execPath, "--no-env-file", main]), {
    cwd: wishes.agentSide.network,
    env: {
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
      ...(Object.fromEntries(passed) as Record<string, string>),
    },
    stdin: "pipe",
    stdout: "pipe",
    stderr: log,
    // Ctrl-C is the launcher's; this ends with its standard input.
    detached: true,
  });
  closeSync(log);
  process.once("exit", () => child.kill("SIGKILL"));
  child.stdin.write(`${JSON.stringify(config)}\n`);
  await child.stdin.flush();
  const ready = child.stdout.getReader().read();
  const word = await Promise.race([ready, child.exited, Bun.sleep(READY_MS)]);
  if (typeof word !== "object" || word.value === undefined) {
    child.kill("SIGKILL");
    throw new StartError(
      `The way to the network did not come up; see ${join(wishes.place.log, "network.log")}`,
    );
  }
  const ended = child.exited.then((code) =>
    code === null ? "was ended by a signal" : `ended with exit code ${code}`,
  );
  return { ended, kill: () => child.kill("SIGKILL") };
}

/** Starts it again when it ends. Nothing of the agent's waits for it but its requests. */
async function keep(
  current: () => Running,
  startAgain: () => Promise<void>,
  isStopped: () => boolean,
): Promise<void> {
  let since = performance.now();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const why = await current().ended;
    if (isStopped()) return;
    if (performance.now() - since > LASTED_MS) attempt = 0;
    say(`the way to the network ${why}: it is opened again`);
    await Bun.sleep(PAUSE_MS);
    since = performance.now();
    // What did not come up has ended, too.
    await startAgain().catch(() => undefined);
  }
  say("the way to the network is closed: the agent's commands reach nothing until the next start");
}
