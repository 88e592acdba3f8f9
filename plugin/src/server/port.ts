/** What to do when the port is taken: find out by whom. */
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
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

/** Asks whoever listens there; the token itself is never sent. */
export async function portTaken(
  hostname: string,
  port: number,
  tokens: Tokens,
  cause: unknown,
): Promise<PortTakenError> {
  const reachable = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "[::1]" : hostname;
  const url = `http://${reachable.includes(":") && !reachable.startsWith("[") ? `[${reachable}]` : reachable}:${port}`;
  const nonce = randomBytes(16).toString("base64url");
  try {
    const answer = await fetch(`${url}/health?nonce=${nonce}`, { signal: AbortSignal.timeout(2000) });
    const health = (await answer.json()) as { service?: unknown; proofs?: unknown } | null;
    if (health?.service !== "suggestion-manager") return new PortTakenError("stranger", url, cause);
    const theirs: unknown[] = Array.isArray(health.proofs) ? health.proofs : [];
    const dialled = await lookup(reachable.replace(/^\[|\]$/g, ""), { all: true });
    const addresses = dialled.flatMap(({ address }) => boundAddresses(address, port));
    const same = tokens.proofs(nonce, addresses).some((proof) => theirs.includes(proof));
    return new PortTakenError(same ? "own-state" : "own", url, cause);
  } catch {
    return new PortTakenError("stranger", url, cause);
  }
}
