/**
 * The token files on disk. The server keeps SHA-256 hashes only (`tokens.json`), so that whoever reads its state
 * directory — the agent has the same user id — does not learn the developer's token. Every change is written to a
 * temporary file and renamed under a lock, so that a reader in another process sees the old or the new, never half.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ReviewError } from "../../protocol/errors.ts";
import { Actor } from "../../protocol/model.ts";

export type Role = Actor;

export const TokenHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "expected SHA-256 in lower-case hex (64 characters)");
const TokenEntry = z.object({ role: Actor, sha256: TokenHash, created: z.string() });
export type TokenEntry = z.infer<typeof TokenEntry>;
const TokenList = z.object({ tokens: z.array(TokenEntry) });

export interface TokenPaths {
  /** Hashes, read by the server. */
  hashes: string;
  developer: string;
  agent: string;
}

export function tokenPaths(stateDir: string): TokenPaths {
  return {
    hashes: join(stateDir, "tokens.json"),
    developer: join(stateDir, "token"),
    agent: join(stateDir, "agent-token"),
  };
}

export function sha256hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** 256 random bits; the prefix tells people (and secret scanners) what it is. */
function newToken(role: Role): string {
  return `${role === "developer" ? "smd" : "sma"}_${randomBytes(32).toString("base64url")}`;
}

/** @throws ReviewError when the file is there but not what this program writes */
export function readTokenList(stateDir: string): TokenEntry[] {
  const path = tokenPaths(stateDir).hashes;
  if (!existsSync(path)) return [];
  try {
    return TokenList.parse(JSON.parse(readFileSync(path, "utf8"))).tokens;
  } catch (cause) {
    throw new ReviewError(
      "internal",
      `${path} is not a token list; move it away and restart to make new tokens`,
      { cause },
    );
  }
}

function writePrivate(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

const LOCK_STALE_MS = 10_000;

function locked<T>(stateDir: string, change: () => T): T {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const lock = join(stateDir, "tokens.lock");
  const deadline = Date.now() + LOCK_STALE_MS + 2000;
  for (;;) {
    try {
      closeSync(openSync(lock, "wx", 0o600));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || Date.now() > deadline) throw error;
      const age = existsSync(lock) ? Date.now() - statSync(lock).mtimeMs : 0;
      if (age > LOCK_STALE_MS) unlinkSync(lock);
      else Bun.sleepSync(20);
    }
  }
  try {
    return change();
  } finally {
    unlinkSync(lock);
  }
}

function writeTokenList(stateDir: string, tokens: TokenEntry[]): void {
  writePrivate(tokenPaths(stateDir).hashes, `${JSON.stringify({ tokens }, null, 2)}\n`);
}

function entry(role: Role, sha256: string): TokenEntry {
  return { role, sha256: TokenHash.parse(sha256), created: new Date().toISOString() };
}

/** Makes both tokens on the first start; on later starts changes nothing. */
export function ensureTokens(stateDir: string): TokenPaths & { created: boolean } {
  const paths = tokenPaths(stateDir);
  if (existsSync(paths.hashes)) return { ...paths, created: false };
  return locked(stateDir, () => {
    if (existsSync(paths.hashes)) return { ...paths, created: false };
    const developer = newToken("developer");
    const agent = newToken("agent");
    writePrivate(paths.developer, `${developer}\n`);
    writePrivate(paths.agent, `${agent}\n`);
    writeTokenList(stateDir, [entry("developer", sha256hex(developer)), entry("agent", sha256hex(agent))]);
    return { ...paths, created: true };
  });
}

/** Admits a token whose text this user never sees: the developer's own file lies in the developer's own home. */
export function addTokenHash(stateDir: string, role: Role, sha256: string): void {
  const added = entry(role, sha256);
  locked(stateDir, () => {
    const others = readTokenList(stateDir).filter((known) => known.sha256 !== sha256);
    writeTokenList(stateDir, [...others, added]);
  });
}

/**
 * Replaces every token of a role by one new one. Running servers notice by themselves and close the sockets that
 * were opened with a dropped token.
 *
 * @param sha256 hash of a token made elsewhere; left out, a token is made and written to the role's token file
 * @returns path of the token file written, or null when only a hash was given
 */
export function rotate(stateDir: string, role: Role, sha256?: string): string | null {
  return locked(stateDir, () => {
    const others = readTokenList(stateDir).filter((known) => known.role !== role);
    if (sha256 !== undefined) {
      writeTokenList(stateDir, [...others, entry(role, sha256)]);
      return null;
    }
    const token = newToken(role);
    const file = tokenPaths(stateDir)[role];
    // Hash first: a crash in between leaves a token file that no longer works, never an old token that still does.
    writeTokenList(stateDir, [...others, entry(role, sha256hex(token))]);
    writePrivate(file, `${token}\n`);
    return file;
  });
}
