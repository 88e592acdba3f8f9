/**
 * A working agent beside a deciding developer. The agent writes a numbered mark every 10 ms, in files that hold hunks
 * under review and in files of its own, and runs jj on the change, on children and on siblings; every mark it has written
 * is noted outside the repository. Afterwards each mark must be in the repository, and nothing divergent or unreported.
 */
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Hunk } from "../../src/protocol/model.ts";
import { isolateJj } from "./desk-place.ts";

export const FILES = 4;
const HUNKS_EACH = 12;
const SLOTS_EACH = 80;

/** Reproducible: the seed is in the report. */
export function randomness(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const poem = (file: number, changed: boolean): string =>
  Array.from({ length: SLOTS_EACH }, (_, index) => {
    const isHunk = index < HUNKS_EACH;
    const line = isHunk && changed ? `H ${file}.${index}` : `line ${file}.${index}`;
    return `slot ${index}\npad a ${index}\n${line}\npad b ${index}\npad c ${index}\n`;
  }).join("");

/** One step of the agent: `work.sh STEP KIND MARKS`. */
const worker = (root: string): string => `#!/bin/bash
# Writes a mark every 10 ms around jj commands; what was written is noted once it is there.
cd '${root}/agent'
step=$1; kind=$2; marks=$3; k=0
S=$(cat '${root}/change')
mark() {
  k=$((k+1)); m="T$step.$k"
  case $((k % 3)) in
    0) printf '%s\\n' "$m" >> "notes-$step.txt" ;;
    1) sed -i "s/^slot $((step % ${SLOTS_EACH}))\\$/&\\n$m/" "p$((step / ${SLOTS_EACH} % ${FILES})).txt" ;;
    2) printf '%s\\n' "$m" > "one-$step-$k.txt" ;;
  esac
  echo "$m" >> '${root}/journal'
  sleep 0.01
}
marks() { for ((i = 0; i < $1; i++)); do mark; done; }
say() { jj --no-pager --quiet "$@" 2>> '${root}/jj-errors' || echo "step $step: jj $* failed" >> '${root}/jj-failed'; }
half=$((marks / 2))
case $kind in
  write) marks $marks ;;
  append) for ((i = 0; i < marks; i++)); do k=$((3 * i + 2)); mark; done ;;
  describe) marks $half; say describe -m "child $step"; marks $half ;;
  new) marks $half; say new -m "grown $step"; marks $half ;;
  squash) marks $half; say squash --use-destination-message; marks $half ;;
  sibling) marks $half; say new main -m "sibling $step"; say status > /dev/null; marks $half; say new "$S" -m "back $step" ;;
  self) say edit "$S"; marks $marks; say new -m "after $step" ;;
  status) marks $half; say status > /dev/null; say log > /dev/null; marks $half; say status > /dev/null ;;
esac
`;

export interface Field {
  root: string;
  dir: string;
  jj(...args: string[]): string;
}

export function prepareField(root: string, init: string[] = ["--colocate"]): Field {
  isolateJj(root);
  const dir = join(root, "agent");
  mkdirSync(dir);
  const jj = (...args: string[]): string => {
    const done = Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
      cwd: dir,
      env: process.env,
    });
    if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  };
  jj("git", "init", ...init, ".");
  for (let file = 0; file < FILES; file++) writeFileSync(join(dir, `p${file}.txt`), poem(file, false));
  jj("commit", "-m", "base");
  jj("bookmark", "create", "main", "-r", "@-");
  for (let file = 0; file < FILES; file++) writeFileSync(join(dir, `p${file}.txt`), poem(file, true));
  jj("describe", "-m", "Under review");
  writeFileSync(join(root, "change"), jj("log", "--no-graph", "-r", "@", "-T", "change_id"));
  writeFileSync(join(root, "work.sh"), worker(root));
  chmodSync(join(root, "work.sh"), 0o755);
  appendFileSync(join(root, "journal"), "");
  return { root, dir, jj };
}

const KINDS = ["write", "write", "describe", "new", "squash", "sibling", "self", "status"];

/** Kinds whose jj commands check nothing out, so that a second call of the agent's may write at the same time. */
export const TOLERANT = new Set(["write", "describe", "status"]);

/** Short and long calls, of every kind. */
export function nextStep(
  random: (below: number) => number,
  step: number,
): { kind: string; marks: number; command: string } {
  const kind = KINDS[random(KINDS.length)] as string;
  const marks = random(5) === 0 ? 80 : 4 + random(16);
  return { kind, marks, command: `../work.sh ${step} ${kind} ${marks}` };
}

type Ask = <Answer>(path: string, body?: unknown) => Promise<{ status: number; body: Answer }>;

/** Accepts, rejects, modifies, takes back. */
export async function decideOnce(
  ask: Ask,
  suggestion: string,
  random: (below: number) => number,
): Promise<void> {
  const { status, body } = await ask<{ hunks: Hunk[] }>(`/suggestions/${suggestion}/hunks?limit=500`);
  if (status !== 200) throw new Error(`the hunks cannot be read: ${JSON.stringify(body)}`);
  const hunk = body.hunks[random(body.hunks.length)] as Hunk;
  const head = { suggestion_id: suggestion, hunk_id: hunk.id };
  const chosen = random(10);
  const decided =
    chosen < 2 && hunk.state !== "pending"
      ? await ask("/undo", head)
      : chosen < 4
        ? await ask("/feedback", { ...head, action: "accept" })
        : chosen < 6
          ? await ask("/feedback", {
              ...head,
              action: "modify",
              modified_diff: hunk.diff.replace(/^\+H /m, "+M "),
            })
          : await ask("/feedback", { ...head, action: "reject", comment: `no ${chosen}` });
  if (decided.status !== 200) throw new Error(`a decision was refused: ${JSON.stringify(decided.body)}`);
}

export interface Found {
  marks: number;
  lost: string[];
  divergent: number;
  conflicted: number;
  reported: number;
  settles: number;
  /** Hunks whose text in the change is not what was decided. */
  wrong: string[];
  stale: boolean;
  jjFailures: string[];
}

/** Looks at everything that is visible in the repository, without asking the program under test. */
export async function inspect(field: Field, ask: Ask, suggestion: string): Promise<Found> {
  const { root, dir, jj } = field;
  const stale = Bun.spawnSync(["jj", "status"], { cwd: dir, env: process.env }).exitCode !== 0;
  const store = jj("git", "root").trim();
  const commits = jj("log", "--no-graph", "-r", "all() ~ root()", "-T", 'commit_id ++ "\\n"')
    .trim()
    .split("\n");
  const held = new Set<string>();
  for (let at = 0; at < commits.length; at += 50) {
    const grep = Bun.spawnSync([
      "git",
      "--git-dir",
      store,
      "grep",
      "-hoE",
      "^T[0-9]+[.][0-9]+$",
      ...commits.slice(at, at + 50),
    ]);
    for (const line of grep.stdout.toString().split("\n")) held.add(line);
  }
  const marks = readFileSync(join(root, "journal"), "utf8").trim().split("\n");
  const count = (revset: string) => jj("log", "--no-graph", "-r", revset, "-T", '"x"').length;
  const events: { type: string; status?: string; suggestion_id?: string }[] = [];
  for (let since = 0; ; ) {
    const page = (
      await ask<{ events: ((typeof events)[number] & { seq: number })[]; more: boolean }>(
        `/events?since=${since}`,
      )
    ).body;
    events.push(...page.events);
    since = page.events.at(-1)?.seq ?? since;
    if (!page.more) break;
  }
  const { body } = await ask<{ hunks: Hunk[] }>(`/suggestions/${suggestion}/hunks?limit=500`);
  const change = readFileSync(join(root, "change"), "utf8");
  const texts = new Map(
    Array.from({ length: FILES }, (_, file) => [
      `p${file}.txt`,
      jj("file", "show", "-r", change, `p${file}.txt`).split("\n"),
    ]),
  );
  const wrong = body.hunks
    .filter((hunk) => {
      const name = /^\+H (.*)$/m.exec(hunk.diff)?.[1];
      const wanted = { accepted: "H", pending: "H", modified: "M", rejected: "line" }[hunk.state];
      return !texts.get(hunk.file)?.includes(`${wanted} ${name}`);
    })
    .map((hunk) => `${hunk.id} ${hunk.state}`);
  const failed = Bun.file(join(root, "jj-failed"));
  return {
    marks: marks.length,
    lost: marks.filter((mark) => !held.has(mark)),
    divergent: count("divergent()"),
    conflicted: count("conflicts()"),
    reported: events.filter((event) => event.type === "suggestion.error").length,
    settles: events.filter((event) => event.type === "suggestion.status" && event.status === "settled")
      .length,
    wrong,
    stale,
    jjFailures: (await failed.exists()) ? (await failed.text()).trim().split("\n") : [],
  };
}
