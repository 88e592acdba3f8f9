/**
 * Who is asking. Holds the hashes a running server accepts and follows the file they come from, so that a rotation
 * made by another process counts from the next request on.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { statSync } from "node:fs";
import { type Role, readTokenList, type TokenEntry, tokenPaths } from "./token-file.ts";

export { addTokenHash, ensureTokens, type Role, rotate, sha256hex, type TokenPaths } from "./token-file.ts";

/** What a valid token stands for. The hash names the token in limits and sockets; the token itself is not kept. */
export interface Identity {
  role: Role;
  sha256: string;
}

export interface Tokens {
  /** The identity behind a presented token, or null. Takes the same time whatever is presented. */
  identify(presented: string | null): Identity | null;
  /** Tells of tokens that were accepted earlier whether they still are. Looks at the file once, however many are asked. */
  validity(): (identity: Identity) => boolean;
  /**
   * Proof of knowing each developer token's hash at each of these addresses, for clients that will not send a token to
   * a stranger. A client computes it for the address its connection goes to, so that a process that listens elsewhere
   * and passes the question on to the real server cannot pass off the answer as its own.
   */
  proofs(nonce: string, addresses: string[]): string[];
}

interface Known {
  identity: Identity;
  digest: Buffer;
}

/** Longer than any token of ours; what is longer is hashed only up to here. */
const LONGEST_TOKEN = 512;

/** @param onProblem told once per change when the file cannot be parsed; no token is accepted until it can */
export function openTokens(stateDir: string, onProblem: (error: unknown) => void = () => {}): Tokens {
  const path = tokenPaths(stateDir).hashes;
  let stamp = "";
  let known: Known[] = [];

  function refresh(): void {
    let now: string;
    try {
      const stat = statSync(path, { bigint: true });
      now = `${stat.ino}.${stat.mtimeNs}.${stat.size}`;
    } catch {
      // Gone with the state directory, perhaps: who was known stays known. Tokens are withdrawn by writing the file anew.
      return;
    }
    if (now === stamp) return;
    stamp = now;
    try {
      known = readTokenList(stateDir).map(toKnown);
    } catch (error) {
      known = [];
      onProblem(error);
    }
  }

  return {
    identify(presented) {
      refresh();
      const digest = createHash("sha256")
        .update((presented ?? "").slice(0, LONGEST_TOKEN))
        .digest();
      let found: Known | null = null;
      // No early exit: every hash is compared, so that time tells nothing about which one was near.
      for (const candidate of known) {
        if (timingSafeEqual(candidate.digest, digest)) found = candidate;
      }
      return found === null || presented === null ? null : found.identity;
    },
    validity() {
      refresh();
      const now = known;
      // Identities are shared by all that one token opened, and stay the same objects until the file changes.
      return (identity) =>
        now.some(
          (one) =>
            one.identity === identity ||
            (one.identity.sha256 === identity.sha256 && one.identity.role === identity.role),
        );
    },
    proofs(nonce, addresses) {
      refresh();
      return known
        .filter(({ identity }) => identity.role === "developer")
        .flatMap(({ identity }) =>
          addresses.map((address) =>
            createHmac("sha256", identity.sha256)
              .update(`suggestion-manager:${nonce}:${address}`)
              .digest("hex"),
          ),
        );
    },
  };
}

function toKnown(entry: TokenEntry): Known {
  const identity = { role: entry.role, sha256: entry.sha256 };
  return { identity, digest: Buffer.from(entry.sha256, "hex") };
}
