/** Preflight: the project's own check, run on a scratch checkout of the accepted-only tree. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { ReviewError } from "../../protocol/errors.ts";
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getOpen } from "../ledger/suggestion-rows.ts";
import { writeTree } from "./suggestion-trees.ts";

const OUTPUT_KEPT = 64 * 1024;

export interface VerifyContext {
  ledger: Ledger;
  project: Project;
  command: string | null;
  timeoutSeconds: number;
  now: () => Date;
}

/** @throws ReviewError when no command is set; a failing command is an answer */
export async function verify(
  context: VerifyContext,
  suggestionId: string,
): Promise<{ ok: boolean; exit_code: number | null; output: string }> {
  const { ledger, project } = context;
  if (context.command === null) {
    throw new ReviewError(
      "invalid_request",
      "verify.command is not set: name the shell command that checks your project in the plugin's options",
    );
  }
  const suggestion = getOpen(ledger, suggestionId);
  const { commit, tree } = await writeTree(ledger, project, suggestion, "accepted");
  const scratch = await mkdtemp(join(tmpdir(), "suggestion-verify-"));
  const status = (message: string) =>
    ledger.emit(
      project.dir,
      { type: "suggestion.status", suggestion_id: suggestionId, status: "verifying", message },
      context.now(),
    );
  try {
    const env = { GIT_INDEX_FILE: join(scratch, "index"), GIT_WORK_TREE: undefined };
    await project.hub.run(["read-tree", commit], { env });
    await project.hub.run(
      [
        `--work-tree=${join(scratch, "tree")}`,
        "checkout-index",
        "--all",
        `--prefix=${join(scratch, "tree")}/`,
      ],
      { env },
    );
    status(`Running ${context.command}`);
    const child = execa("sh", ["-c", context.command], {
      cwd: join(scratch, "tree"),
      stdin: "ignore",
      all: true,
      reject: false,
      timeout: context.timeoutSeconds * 1000,
      forceKillAfterDelay: 5_000,
      detached: true,
    });
    let last = 0;
    child.all?.on("data", (chunk: Buffer) => {
      const line = chunk.toString("utf8").trimEnd().split("\n").pop() ?? "";
      // One line at most every quarter of a second, so that a chatty build does not fill the journal.
      if (line !== "" && Date.now() - last > 250) {
        last = Date.now();
        status(line.slice(0, 500));
      }
    });
    const result = await child;
    const whole = `${result.all ?? ""}${result.timedOut ? `\nstopped after ${context.timeoutSeconds} s` : ""}`;
    const output = whole.length > OUTPUT_KEPT ? `[…]\n${whole.slice(-OUTPUT_KEPT)}` : whole;
    const exitCode = result.exitCode ?? null;
    const ok = exitCode === 0;
    ledger.transaction(() => {
      const record = { ok, exit_code: exitCode, output, at: context.now().toISOString(), tree };
      ledger.change("UPDATE suggestion SET verify = ? WHERE id = ?", JSON.stringify(record), suggestionId);
      ledger.emit(
        project.dir,
        { type: "suggestion.verified", suggestion_id: suggestionId, ok, exit_code: exitCode, output },
        context.now(),
      );
    });
    return { ok, exit_code: exitCode, output };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
