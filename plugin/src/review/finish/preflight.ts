/** Preflight: the project's own check, run on a scratch checkout of the accepted-only tree. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReviewError } from "../../protocol/errors.ts";
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getOpen } from "../ledger/suggestion-rows.ts";
import type { Commands } from "../tell/commands.ts";
import { runCheck } from "./check-command.ts";
import { writeTree } from "./suggestion-trees.ts";

/** At most one line of the command's output a quarter of a second: a chatty build does not fill the journal. */
const STATUS_MS = 250;

export interface VerifyContext {
  ledger: Ledger;
  project: Project;
  commands: Commands;
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
    void ledger.whenFree(() =>
      ledger.emit(
        project.dir,
        { type: "suggestion.status", suggestion_id: suggestionId, status: "verifying", message },
        context.now(),
      ),
    );
  try {
    const [checkout, home] = [join(scratch, "tree"), join(scratch, "home")];
    // git refuses a --work-tree that is not there yet.
    for (const folder of [checkout, home]) await mkdir(folder);
    const env = { GIT_INDEX_FILE: join(scratch, "index") };
    await project.hub.run(["read-tree", commit], { env });
    await project.hub.run([`--work-tree=${checkout}`, "checkout-index", "--all"], { env, cwd: checkout });
    status(`Running ${context.command}`);
    let last = 0;
    const { exitCode, output } = await runCheck(context.command, {
      cwd: checkout,
      home,
      call: context.commands.begin(context.command),
      timeoutSeconds: context.timeoutSeconds,
      onLine: (line) => {
        if (Date.now() - last < STATUS_MS) return;
        last = Date.now();
        status(line.slice(0, 500));
      },
    });
    const ok = exitCode === 0;
    const record = { ok, exit_code: exitCode, output, at: context.now().toISOString(), tree };
    await ledger.transactionWhenFree(() => {
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
