/**
 * The network that the commands of one host share: a namespace with loopback and nothing else, in which one forwarder leads
 * to the proxy. It is made once, by a script that then becomes the host; each command's ring joins it, which costs less than
 * a namespace and a forwarder of its own (sandbox/README.md). It ends with the host.
 */
import { PROXY_PORT, SOCKETS } from "./sockets.ts";

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

/** The script: `with-network PROGRAM …`. */
export function withNetwork({ bwrap, bun, forwarder, folder }: Holder): string {
  const ring = [
    ...[bwrap, "--unshare-user", "--unshare-net", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--chdir", folder, "--"],
    // A path of its own would be too long for a socket in some places.
    ...[bun, "--no-env-file", forwarder, `${PROXY_PORT}=${SOCKETS.command}`],
  ];
  return `#!/bin/sh
# Written at every start. Makes the network of the agent's commands, and becomes what it is given.
said="$(mktemp -d)" && mkfifo "$said/ready" || exit 1
${ring.map(quoted).join(" ")} < /dev/null > "$said/ready" &
read -r word holder < "$said/ready"
rm -r "$said"
if [ "$word" != ready ]; then echo "The network of the agent's commands could not be made." >&2; exit 1; fi
${NETWORK_VARIABLE}="$holder" exec "$@"
`;
}
