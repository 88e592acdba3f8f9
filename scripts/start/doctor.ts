/**
 * `npm run sandbox -- doctor`: tries an installation from both sides. From inside each ring it goes after what must not be
 * reached; from outside it looks at who owns what. Prints what protects the developer, and how each try ended.
 */
import { statSync } from "node:fs";
import { readMachine, sharesOf } from "../../sandbox/limits.ts";
import { roomLimits } from "../../sandbox/room.ts";
import { spaceOf } from "./disk.ts";
import { limitsText } from "./guard.ts";
import { hubDir, readState } from "./places.ts";
import { protectionWords } from "./protection.ts";
import { StartError } from "./report.ts";
import { whyNoOuterRing } from "./ring.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { setUpFor } from "./sandbox-place.ts";
import { inRings, ringOf } from "./sandbox-shell.ts";
import { visible } from "./visible.ts";
import type { Work } from "./works.ts";

interface Try {
  what: string;
  /** Shell that succeeds when it has got what it was after. */
  code: string;
}

/** From both rings. The variables are set by {@link script}. */
const FROM_BOTH: readonly Try[] = [
  { what: "your home", code: 'ls -A "$DEV_HOME" 2>/dev/null | grep -q .' },
  { what: "your checkout", code: 'test -e "$CHECKOUT/.git" || test -e "$CHECKOUT/.jj"' },
  { what: "your token", code: 'test -r "$TOKEN"' },
  { what: "the launcher's process", code: 'kill -0 "$LAUNCHER"' },
  { what: "other processes of the machine", code: 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 12' },
  { what: "your terminal", code: ": > /dev/tty" },
  { what: "services on this machine's loopback", code: 'grep -q ":$SERVICE " /proc/net/tcp' },
  { what: "an interface to the network", code: "tail -n +3 /proc/net/dev | grep -qv '^ *lo:'" },
  { what: "the system's files, to write them", code: "touch /usr/planted /etc/planted" },
  { what: "new privileges", code: "! grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status" },
  { what: "system calls without a filter", code: "! grep -q '^Seccomp:[[:space:]]*2' /proc/self/status" },
];
/** From a command of the model's. */
const FROM_INSIDE: readonly Try[] = [
  { what: "the ledger and the tokens' hashes", code: 'test -e "$STATE"' },
  { what: "the shared repository", code: 'test -e "$HUB"' },
  { what: "opencode's settings, with the provider's key", code: 'test -e "$CONFIG/opencode"' },
  { what: "opencode's home", code: 'test -e "$AGENT_HOME"' },
  { what: "a user namespace of its own", code: "unshare --user true" },
  { what: "git's settings of the clone, to write them", code: ": >> .git/config" },
];

export async function doctor({ repository, show }: SandboxOptions): Promise<number> {
  const { work, developer } = await setUpFor(repository);
  const { agent, agentSide, place } = work;
  const noSeparate = agentSide.separate ? null : "it has none here (root makes one: sudo npm start)";
  const noRing = whyNoOuterRing(agent);
  const user = readState(place)?.agent.user ?? agent.name;
  const out = (line: string) => process.stdout.write(visible(`${line}\n`));
  out(`What protects you from the agent of ${place.checkout}:`);
  for (const words of protectionWords({ user, noSeparate, cage: true, noRing })) out(`  ${words}`);
  const limits = limitsText(roomLimits(spaceOf(agentSide.dir)), sharesOf(readMachine()));
  out(`  ${limits}; npm start may be told other limits`);
  const ring = await ringOf(work, show);
  let failures = 0;
  const told = (got: boolean, line: string) => {
    if (got) failures++;
    out(`  ${got ? "NO" : "ok"}  ${line}`);
  };
  out("Tried from outside:");
  for (const [held, line] of fromOutside(work)) told(!held, line);
  const rings = [
    ...(ring === null ? [] : [{ name: "opencode's ring", inner: false, tries: FROM_BOTH }]),
    { name: "a command of the agent's", inner: true, tries: [...FROM_BOTH, ...FROM_INSIDE] },
  ];
  const service = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  for (const { name, inner, tries } of rings) {
    out(`Tried from ${name}:`);
    const done = await inRings(work, ring, script(tries, work, developer.home, service.port), inner);
    const results = new Map(done.stdout.split("\n").map((line) => [line.slice(4), line.slice(0, 3)]));
    for (const { what } of tries) {
      const result = results.get(what);
      if (result === undefined)
        throw new StartError(`The tries from ${name} did not run: ${done.problem ?? done.stderr.trim()}`);
      told(result === "got", `${result === "got" ? "reaches" : "does not reach"} ${what}`);
    }
  }
  service.stop();
  out(failures === 0 ? "Everything holds." : `${failures} of these do not hold.`);
  return failures === 0 ? 0 : 1;
}

function fromOutside({ place, agentSide, agent }: Work): [boolean, string][] {
  const token = statSync(place.token);
  const state = statSync(agentSide.state);
  return [
    [(token.mode & 0o077) === 0, `your token can be read by you alone (${place.token})`],
    [
      (state.mode & 0o077) === 0 && state.uid === agent.uid,
      "the ledger is in a folder of the agent's user alone",
    ],
    ...(agentSide.separate
      ? ([
          [statSync(agentSide.dir).uid === 0, "the agent's side lies in a folder of root's"],
          [(statSync(agentSide.dir).mode & 0o007) === 0, "which is closed to all other users"],
          [token.uid !== agent.uid, "your token is not the agent's user's"],
        ] as [boolean, string][])
      : []),
  ];
}

function script(tries: readonly Try[], { place, agentSide }: Work, home: string, service: number): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const variables = {
    DEV_HOME: home,
    CHECKOUT: place.checkout,
    TOKEN: place.token,
    LAUNCHER: String(process.pid),
    // As the kernel writes it.
    SERVICE: service.toString(16).toUpperCase().padStart(4, "0"),
    STATE: agentSide.state,
    HUB: hubDir(agentSide),
    CONFIG: agentSide.config,
    AGENT_HOME: agentSide.home,
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`),
    ...tries.map(
      ({ what, code }) =>
        `if ( ${code}\n) > /dev/null 2>&1; then echo ${quoted(`got ${what}`)}; else echo ${quoted(`not ${what}`)}; fi`,
    ),
  ].join("\n");
}
