/**
 * What a finalized commit must hold, worked out by git alone: hunks become one zero-context patch that `git apply`
 * puts on the base's tree. Shares no code with the engine that composed the commit.
 */
import { rmSync } from "node:fs";
import type { Hunk } from "../../plugin/src/protocol/model.ts";
import { must } from "./processes.ts";
import type { Scene } from "./scene.ts";

interface Run {
  oldStart: number;
  oldLines: string[];
  newLines: string[];
}

/** The changed runs of a unified diff without their context. */
function changedRuns(diff: string): Run[] {
  const runs: Run[] = [];
  let line = 0;
  let run: Run | null = null;
  for (const text of diff.split("\n")) {
    const header = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@/.exec(text);
    if (header !== null) {
      run = null;
      // A range of no lines names the line before it.
      line = Number(header[1]) + (header[2] === "0" ? 1 : 0);
    } else if (text.startsWith("-") || text.startsWith("+")) {
      if (run === null) {
        run = { oldStart: line, oldLines: [], newLines: [] };
        runs.push(run);
      }
      if (text.startsWith("-")) {
        run.oldLines.push(text);
        line++;
      } else run.newLines.push(text);
    } else if (text.startsWith(" ")) {
      run = null;
      line++;
    }
  }
  return runs;
}

function patchOfFile(file: string, kind: Hunk["kind"], runs: Run[]): string {
  const head =
    kind === "create"
      ? ["new file mode 100644", "--- /dev/null", `+++ b/${file}`]
      : kind === "delete"
        ? ["deleted file mode 100644", `--- a/${file}`, "+++ /dev/null"]
        : [`--- a/${file}`, `+++ b/${file}`];
  const lines = [`diff --git a/${file} b/${file}`, ...head];
  let shift = 0;
  for (const { oldStart, oldLines, newLines } of [...runs].sort((a, b) => a.oldStart - b.oldStart)) {
    const oldAt = kind === "create" ? 0 : oldStart - (oldLines.length === 0 ? 1 : 0);
    const newAt = kind === "delete" ? 0 : oldStart + shift - (newLines.length === 0 ? 1 : 0);
    lines.push(`@@ -${oldAt},${oldLines.length} +${newAt},${newLines.length} @@`, ...oldLines, ...newLines);
    shift += newLines.length - oldLines.length;
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Tree id of base plus these hunks.
 * @param gitDir a repository that has the base
 * @param taken accepted hunks as the server showed them; of a modified one the diff that the developer wrote
 */
export function treeOf(
  scene: Scene,
  gitDir: string,
  base: string,
  taken: Pick<Hunk, "file" | "kind" | "diff">[],
): string {
  const index = scene.path("expected-index");
  rmSync(index, { force: true });
  const env = { ...scene.env, GIT_INDEX_FILE: index, GIT_DIR: gitDir };
  must(["git", "read-tree", base], { env, cwd: scene.dir });
  const files = new Map<string, { kind: Hunk["kind"]; runs: Run[] }>();
  for (const { file, kind, diff } of taken) {
    const entry = files.get(file) ?? { kind, runs: [] };
    entry.runs.push(...changedRuns(diff));
    files.set(file, entry);
  }
  const patch = [...files].map(([file, { kind, runs }]) => patchOfFile(file, kind, runs)).join("");
  must(["git", "apply", "--cached", "--unidiff-zero", "-"], { env, cwd: scene.dir, input: patch });
  return must(["git", "write-tree"], { env, cwd: scene.dir }).trim();
}

/** Fetches everything of the hub over HTTP into a new bare repository; the token travels in the environment. */
export function fetchHub(
  scene: Scene,
  remote: string,
  token: string,
): { dir: string; git(...args: string[]): string } {
  const dir = scene.path(`hub-${crypto.randomUUID().slice(0, 8)}`);
  const env = {
    ...scene.env,
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "http.extraHeader",
    GIT_CONFIG_VALUE_0: `Authorization: Bearer ${token}`,
  };
  must(["git", "clone", "--quiet", "--mirror", remote, dir], { env, cwd: scene.dir });
  return {
    dir,
    git: (...args) => must(["git", "--git-dir", dir, ...args], { env: scene.env, cwd: scene.dir }).trimEnd(),
  };
}
