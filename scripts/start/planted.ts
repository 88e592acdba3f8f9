/**
 * What opencode loads from a repository and runs as itself, outside of every ring: its folder and its settings. What the
 * developer has committed is theirs to run; anything else under these names is not loaded and cannot be made.
 */
import { createHash } from "node:crypto";
import { LOADED } from "../../plugin/src/agent/loaded.ts";
import { type Identity, runAs } from "./identity.ts";
import type { AgentPlace } from "./places.ts";
import { askHub, questionEnvironment } from "./questions.ts";

const NAMES = [...LOADED.files, ...LOADED.folders];
/** What stands where there is nothing, so that the name is taken; written as nobody else would. */
const PLACEHOLDER = "{\t}\n";

/** Object ids of everything that was ever committed under these names, each with its path. */
async function committed(place: AgentPlace, agent: Identity, branch: string): Promise<Map<string, string>> {
  const walk = ["rev-list", "--objects", "--full-history", `refs/heads/${branch}`, "--", ...NAMES];
  // A branch that is not there has committed nothing: whatever is on disk is then not the developer's.
  const { stdout } = await askHub(place, agent, walk, { mayFail: true });
  const found = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const at = line.indexOf(" ");
    if (at > 0) found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}

const blob = (text: string) => createHash("sha1").update(`blob ${text.length}\0${text}`).digest("hex");

/** @returns paths below the clone that opencode would load and that no commit of the developer's branch has */
export async function plantedIn(place: AgentPlace, agent: Identity, branch: string): Promise<string[]> {
  const known = await committed(place, agent, branch);
  const harmless = new Set([blob(PLACEHOLDER), blob("")]);
  const regular = await look(place, agent, "-type f -print0");
  const ids = (await look(place, agent, "-type f -exec git hash-object --no-filters -- {} +", "\n")).map(
    (id) => id.trim(),
  );
  // Links, pipes and the like: what they lead to can change at any time.
  const odd = await look(place, agent, "! -type f ! -type d -print0");
  const isPlaceholder = (path: string, id: string) =>
    harmless.has(id) && (LOADED.files as readonly string[]).includes(path);
  return [
    ...odd,
    ...regular.filter((path, index) => {
      const id = ids[index] ?? "";
      return !known.has(id) && !isPlaceholder(path, id);
    }),
  ].sort();
}

/** Runs find on the names, as the agent. */
async function look(
  place: AgentPlace,
  agent: Identity,
  expression: string,
  between = "\0",
): Promise<string[]> {
  const script = `for name in "$@"; do if [ -e "$name" ] || [ -L "$name" ]; then find "$name" ${expression} || exit; fi; done`;
  const { stdout } = await runAs(agent, ["sh", "-c", script, "sh", ...NAMES], {
    cwd: place.repo,
    env: questionEnvironment(place, agent),
  });
  return stdout.split(between).filter((one) => one !== "");
}

/**
 * Takes the names that the developer has never used, so that nothing else can, and keeps them out of every snapshot;
 * gives back those that the developer uses by now.
 */
export async function putPlaceholders(place: AgentPlace, agent: Identity, branch: string): Promise<void> {
  const used = new Set(
    [...(await committed(place, agent, branch)).values()].map((path) => path.split("/")[0]),
  );
  const script = `set -e
placeholder="$(printf '{\\t}')"
exclude=.git/info/exclude
mkdir -p .git/info
for name in "$@"; do
  case "$name" in used:*) name="\${name#used:}"; if [ -f "$name" ] && [ "$(cat "$name")" = "$placeholder" ]; then rm -f "$name"; fi; continue ;; esac
  grep -qxF "/$name" "$exclude" 2>/dev/null || echo "/$name" >> "$exclude"
  if [ -e "$name" ]; then continue; fi
  case "$name" in .opencode) mkdir "$name" ;; *) printf '%s\\n' "$placeholder" > "$name" ;; esac
done`;
  const names = NAMES.map((name) => (used.has(name) ? `used:${name}` : name));
  await runAs(agent, ["sh", "-c", script, "sh", ...names], {
    cwd: place.repo,
    env: questionEnvironment(place, agent),
  });
}
