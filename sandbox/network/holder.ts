/**
 * The network that the commands of one host share: a namespace with loopback and nothing else, in which one forwarder leads
 * to the proxy. It is made once, by a script that then becomes the host; each command's ring joins it, which costs less than
 * a namespace and a forwarder of its own (sandbox/README.md). It ends with the host.
 */
import { GATEWAY_PORT, GATEWAY_SOCKET, PROXY_PORT, SOCKETS } from "./sockets.ts";

/** In this folder: the forwarder, and what it needs beside it. */
export const FORWARDER_FILES = [
  ...["forwarder.ts", "connection.ts", "descriptor.ts", "pump.ts", "pump-thread.ts", "pair.ts"],
  "given.ts",
];

/** Variable by which the host's shell finds the process that holds the network. */
export const NETWORK_VARIABLE = "ISOLATED_AI_CODER_NETWORK";

export interface Holder {
  bwrap: string;
  bun: string;
  /** The program, readable to the agent. */
  forwarder: string;
  /** With the proxy's sockets. */
  folder: string;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** Starts a forwarder, waits until it is ready, and becomes the rest. @param then in front of the program */
const script = (whose: string, forwarder: string, then: string, arguments_ = ""): string => `#!/bin/sh
# Written at every start. Makes ${whose}, and becomes what it is given.
${arguments_}said="$(mktemp -d)" && mkfifo "$said/ready" || exit 1
${forwarder} < /dev/null > "$said/ready" &
read -r word holder < "$said/ready"
rm -r "$said"
if [ "$word" != ready ]; then echo "${whose.charAt(0).toUpperCase()}${whose.slice(1)} could not be made." >&2; exit 1; fi
${then}exec "$@"
`;

/** The script: `with-network PROGRAM …`. */
export function withNetwork({ bwrap, bun, forwarder, folder }: Holder): string {
  const ring = [
    ...[bwrap, "--unshare-user", "--unshare-net", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--chdir", folder, "--"],
    // A path of its own would be too long for a socket in some places.
    ...[bun, "--no-env-file", forwarder, `${PROXY_PORT}=${SOCKETS.command}`],
  ];
  return script(
    "the network of the agent's commands",
    ring.map(quoted).join(" "),
    `${NETWORK_VARIABLE}="$holder" `,
  );
}

/**
 * The script around opencode in its ring: `with-ways PORT PROGRAM …`. That ring's network has loopback alone; in it lead the
 * proxy's port and the gateway's out, and a socket in to the port that the program is going to listen on.
 */
export function withWays({
  bun,
  forwarder,
  folder,
  entrance,
}: Omit<Holder, "bwrap"> & { entrance: string }): string {
  const pairs = [`${PROXY_PORT}=${SOCKETS.host}`, `${GATEWAY_PORT}=${GATEWAY_SOCKET}`];
  const words = [bun, "--no-env-file", forwarder, ...pairs].map(quoted).join(" ");
  return script(
    "opencode's ways to the network",
    `(cd ${quoted(folder)} && exec ${words} ${quoted(entrance)}="$port")`,
    "",
    'port="$1"; shift\n',
  );
}
