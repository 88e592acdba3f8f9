/** What to do when the port or the socket is taken: find out by whom. */
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { unlinkSync } from "node:fs";
import { connect } from "node:net";
import type { Config } from "../config.ts";
import { ReviewError } from "../protocol/errors.ts";
import { boundAddresses } from "./http/guard.ts";
import type { Tokens } from "./tokens/tokens.ts";

/** The port this server was to listen on belongs to another process. */
export class PortTakenError extends ReviewError {
  /** `own-state`: this service with these very tokens; `own`: this service, another state; `stranger`: anything else. */
  readonly owner: "own-state" | "own" | "stranger";
  readonly url: string;

  constructor(owner: PortTakenError["owner"], url: string, cause: unknown) {
    super("unavailable", sentence(owner, url), { cause, details: { owner, url } });
    this.name = "PortTakenError";
    this.owner = owner;
    this.url = url;
  }

  /** Whether the caller can go on without a server of its own. */
  get ours(): boolean {
    return this.owner !== "stranger";
  }
}

function sentence(owner: PortTakenError["owner"], url: string): string {
  switch (owner) {
    case "own-state":
      return `${url} is already served by another process of this suggestion-manager; clients reach that one`;
    case "own":
      return `${url} is served by a suggestion-manager with other tokens (another user or state directory); set SUGGESTION_MANAGER_PORT to another port for this one`;
    case "stranger":
      return `${url} is taken by another program; stop it or set SUGGESTION_MANAGER_PORT to a free port`;
  }
}

/** The addresses that a host of this machine's stands for, as IP addresses. */
export async function addressesOf(hostname: string, port: number): Promise<string[]> {
  const found = await lookup(hostname.replace(/^\[|\]$/g, ""), { all: true });
  return found.flatMap(({ address }) => boundAddresses(address, port));
}

/**
 * A server that was killed leaves the name of its socket behind, at which nobody listens any more.
 * @returns whether it was such a one, which is then gone
 */
export async function removeDeadSocket(path: string): Promise<boolean> {
  const code = await new Promise<string>((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve("");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?"));
  });
  // Bun 1.3.14 tells both alike, as what the first of them means.
  if (!["ENOENT", "ECONNREFUSED"].includes(code)) return false;
  unlinkSync(path);
  return true;
}

/** Asks whoever listens there; the token itself is never sent. */
export async function portTaken(
  { host: hostname, port, socket }: Pick<Config, "host" | "port" | "socket">,
  tokens: Tokens,
  cause: unknown,
): Promise<PortTakenError> {
  const reachable = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "[::1]" : hostname;
  const url = `http://${reachable.includes(":") && !reachable.startsWith("[") ? `[${reachable}]` : reachable}:${port}`;
  const nonce = randomBytes(16).toString("base64url");
  try {
    const answer = await fetch(`${url}/health?nonce=${nonce}`, {
      signal: AbortSignal.timeout(2000),
      ...(socket === null ? {} : { unix: socket }),
    });
    const health = (await answer.json()) as { service?: unknown; proofs?: unknown } | null;
    if (health?.service !== "suggestion-manager") return new PortTakenError("stranger", url, cause);
    const theirs: unknown[] = Array.isArray(health.proofs) ? health.proofs : [];
    const addresses = await addressesOf(reachable, port);
    const same = tokens.proofs(nonce, addresses).some((proof) => theirs.includes(proof));
    return new PortTakenError(same ? "own-state" : "own", url, cause);
  } catch {
    return new PortTakenError("stranger", url, cause);
  }
}
