/**
 * How the developer's history reaches the hub: as a pack through a pipe, so that neither user ever runs git in a folder
 * the other can write. The commit is named by its id alone: a branch of a jj repository need not be a ref of git's.
 */
import { lastWords, spawnConfined, TRANSFER_MS } from "./confined.ts";
import { type Identity, runAs } from "./identity.ts";
import type { AgentPlace } from "./places.ts";
import { askHub, makeHub, NO_PROGRAMS } from "./questions.ts";
import { progress, StartError } from "./report.ts";
import type { Repository } from "./repository.ts";

const NOTHING = "0".repeat(40);

/** Brings the developer's branch into the hub, which is made when it is not there. Never forces the branch. */
export async function sendHistory(
  repository: Repository,
  developer: Identity,
  agent: Identity,
  place: AgentPlace,
): Promise<void> {
  const { branch, commit } = repository;
  const ref = `refs/heads/${branch}`;
  await makeHub(place, agent, branch);
  const known = await askHub(place, agent, ["rev-parse", "--verify", "--quiet", "--end-of-options", ref], {
    mayFail: true,
  });
  const has = known.stdout.trim();
  if (has === commit) return;
  const git = ["git", ...NO_PROGRAMS, `--git-dir=${repository.gitDir}`];
  if (has !== "") {
    const newer = await runAs(developer, [...git, "merge-base", "--is-ancestor", has, commit], {
      mayFail: true,
    });
    // What is ahead or beside belongs to the review (a finalized commit, say): nothing to send, and never forced.
    if (newer.exitCode !== 0) return;
  }
  await sendPack(developer, agent, place, git, `${commit}\n${has === "" ? "" : `^${has}\n`}`);
  await askHub(place, agent, ["update-ref", "--no-deref", ref, commit, has === "" ? NOTHING : has]);
}

async function sendPack(
  developer: Identity,
  agent: Identity,
  place: AgentPlace,
  git: string[],
  revisions: string,
): Promise<void> {
  const pack = ["pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "--progress"];
  const { child, kill } = spawnConfined(developer.wrap([...git, ...pack]), {
    cwd: "/",
    env: developer.env,
    input: new TextEncoder().encode(revisions),
  });
  const complaint = watchProgress(child.stderr, progress("sending the history"));
  try {
    await askHub(place, agent, ["index-pack", "--stdin", "--fix-thin"], {
      input: child.stdout,
      timeoutMs: TRANSFER_MS,
    });
  } catch (error) {
    kill();
    // What cannot be packed ends the pack early: the packing side knows why.
    if ((await child.exited) === 0 || child.signalCode !== null) throw error;
  }
  const code = await child.exited;
  if (code !== 0) throw new StartError(`git pack-objects failed: ${lastWords(await complaint)}`);
}

/** Passes git's progress on. @returns what else it said */
async function watchProgress(
  stderr: ReadableStream<Uint8Array>,
  onProgress: (text: string) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of stderr) {
    const text = decoder.decode(chunk, { stream: true });
    onProgress(text);
    said = `${said}${text}`.slice(-8192);
  }
  return said
    .split("\n")
    .filter((line) => !/\d+% \(|^(Enumerating|Counting|Total)/.test(line))
    .join("\n");
}
