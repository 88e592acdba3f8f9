/**
 * What a program in opencode's place may try: code of a plugin, of an MCP server, of a check. Each is a piece of bash that
 * succeeds when it has got what it was after. It is given, as variables: DEV_HOME TOKEN CHECKOUT LAUNCHER, and of the network
 * MODEL SERVICE OWN OWN_PORT ABSTRACT, as in escapes.ts; a check is given all of those.
 */
import { ESCAPES, type Escape, LEFT_RUNNING, NETWORK_ESCAPES } from "./escapes.ts";

/** What is still there when everything was stopped. */
export const STAYS = "sleep 54322";

const OF_HOME = "planting settings that opencode loads from its home";

export const OUTER_ESCAPES: readonly Escape[] = [
  { name: "reading the developer's home", code: 'grep -q sentinel "$DEV_HOME/secret.txt"' },
  {
    name: "reading it through /proc/1/root",
    code: 'grep -q sentinel "/proc/1/root$DEV_HOME/secret.txt"',
    heldBy: "root",
  },
  { name: "reading the developer's checkout", code: 'grep -q one "$CHECKOUT/a.txt"' },
  { name: "writing the developer's checkout", code: 'touch "$CHECKOUT/planted"', heldBy: "developer" },
  {
    name: "planting a hook of git's in it",
    code: 'echo evil > "$CHECKOUT/.git/hooks/post-index-change"',
    heldBy: "developer",
  },
  { name: "reading the developer's token", code: 'grep -q smd_ "$TOKEN"', heldBy: "developer" },
  { name: "seeing what others keep in /tmp", code: 'test -e "$DEV_HOME"' },
  {
    name: "reading command lines of the machine",
    code: "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -q '[s]tart/main.ts'",
  },
  {
    name: "reading the launcher's environment",
    code: "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -q \"^LAUNCHER_SECRET=\"",
    heldBy: "developer",
  },
  { name: "signalling the launcher", code: 'kill -0 "$LAUNCHER"', heldBy: "developer" },
  { name: "opening a terminal", code: ": > /dev/tty", heldBy: "root" },
  { name: "writing to the kernel's settings", code: "echo 1 > /proc/sys/vm/drop_caches", heldBy: "root" },
  {
    name: "typing into a terminal (TIOCSTI)",
    code: `perl -MErrno=EPERM -e 'exit(!ioctl(STDIN, 0x5412, my $c = "x") && $! == EPERM ? 1 : 0)'`,
  },
  {
    name: OF_HOME,
    code: 'mkdir -p "$HOME/.opencode" && echo "{}" > "$HOME/.opencode/opencode.json"',
  },
  ...NETWORK_ESCAPES,
  { name: "finding an interface beside loopback", code: "tail -n +3 /proc/net/dev | grep -qv '^ *lo:'" },
  // The check has ended by then: only what left its group and its session is there.
  { name: "leaving something running", code: `setsid nohup ${STAYS} > /dev/null 2>&1 &` },
];

/** What an MCP server in a ring around the agent's clone may try beside those: nothing of it may work, whatever the order. */
export const CLONE_ESCAPES: readonly Escape[] = ESCAPES.filter(({ inClone }) => inClone === true);

/**
 * What the project's own check may try: all of this, and what a command of the model's is after outside of its clone. Whether
 * something is left running is seen elsewhere, and its home is its own.
 */
export const CHECK_ESCAPES: readonly Escape[] = [
  ...new Map(
    [...OUTER_ESCAPES, ...ESCAPES]
      .filter(({ name, inClone }) => inClone !== true && name !== LEFT_RUNNING && name !== OF_HOME)
      .map((one) => [one.name, one]),
  ).values(),
];
