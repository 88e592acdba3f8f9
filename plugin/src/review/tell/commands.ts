/**
 * Which command is behind a number: each command of the agent's gets one of its own, which nobody guesses and which what it runs
 * shows to the proxy. Kept in memory, since a refusal is reported within seconds.
 */
import { randomBytes } from "node:crypto";

/** Variable by which a command's ring is told its number. */
export const CALL = "ISOLATED_AI_CODER_CALL";

const MOST = 2000;
const MOST_CHARACTERS = 300;

/** Space, control characters, and those that reorder, hide or join what stands around them. */
const INVISIBLE = /[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** A command as one line that plays no tricks on who reads it. The text is the agent's. */
export function commandLine(text: string): string {
  // No more is looked at than can be shown, however long it is.
  const line = text
    .slice(0, 4 * MOST_CHARACTERS)
    .replace(INVISIBLE, " ")
    .trim();
  if (line.length <= MOST_CHARACTERS && text.length <= 4 * MOST_CHARACTERS) return line;
  // Half a pair of surrogates is no character.
  return `${line.slice(0, MOST_CHARACTERS).replace(/[\ud800-\udbff]$/, "")}…`;
}

export class Commands {
  readonly #byNumber = new Map<string, string>();
  /** Numbers of the host's calls of a shell, by the host's own names for them. */
  readonly #byCall = new Map<string, string>();

  /** @returns its number */
  begin(command: string): string {
    const number = randomBytes(12).toString("hex");
    put(this.#byNumber, number, commandLine(command));
    return number;
  }

  /** The host is about to run it. */
  beginCall(call: string, command: string): void {
    put(this.#byCall, call, this.begin(command));
  }

  numberOfCall(call: string): string | null {
    return this.#byCall.get(call) ?? null;
  }

  /** @returns null for a number that was not given, or too long ago */
  of(number: string): string | null {
    return this.#byNumber.get(number) ?? null;
  }
}

function put(map: Map<string, string>, key: string, value: string): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= MOST) return;
    map.delete(oldest);
  }
}
