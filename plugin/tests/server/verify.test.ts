/** The preflight, through every door of the server's, on a real repository and with real commands. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "./client.ts";
import { AgentRepository, Place, temporaryDirectory, until } from "./place.ts";

setDefaultTimeout(30_000);

let at: Place;
afterEach(() => at.stop());

async function suggestionWith(verify: object, options: object = {}) {
  at = await Place.open({ options: { verify, ...options } });
  const repository = await AgentRepository.add(at);
  return { repository, ...(await repository.publish()) };
}

const accept = (id: string, hunk: string) =>
  at.ask("/feedback", { body: { suggestion_id: id, hunk_id: hunk, action: "accept" } });

const events = (type: string) =>
  at
    .journal()
    .map((text) => JSON.parse(text))
    .filter((event) => event.type === type);

const scratchLeft = () => readdirSync(tmpdir()).filter((name) => name.startsWith("suggestion-verify-"));

describe("C1: the check runs on the accepted tree alone", () => {
  test("C1: over HTTP, with the accepted files and without the others", async () => {
    const before = scratchLeft();
    const { id, hunks } = await suggestionWith({ command: "ls -a . src; cat src/a.ts; exit 0" });
    const created = hunks.find(({ kind }) => kind === "create");
    expect((await accept(id, created?.id ?? "")).status).toBe(200);
    const answer = await at.ask("/verify", { body: { suggestion_id: id } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ ok: true, exit_code: 0 });
    expect(answer.body.output).toContain("new.ts");
    expect(answer.body.output).toContain("old.txt");
    expect(answer.body.output).toContain("line 3\n");
    expect(answer.body.output).not.toContain("line three");
    expect(events("suggestion.verified")).toMatchObject([{ suggestion_id: id, ok: true, exit_code: 0 }]);
    expect(scratchLeft()).toEqual(before);
  });

  test("C1: over the WebSocket; a failing check is an answer with its output", async () => {
    const { id, hunks } = await suggestionWith({ command: "echo told on both >&2; echo twice; exit 3" });
    await accept(id, hunks[0]?.id ?? "");
    const client = await connect(at);
    const answer = await client.command({ type: "verify", request: { suggestion_id: id } });
    expect(answer).toMatchObject({ success: true, data: { ok: false, exit_code: 3 } });
    expect(answer.data.output).toContain("told on both\n");
    expect(answer.data.output).toContain("twice\n");
    client.close();
  });

  test("C1: the limit ends everything the command started, and says so", async () => {
    const marks = temporaryDirectory("verify");
    const { id, hunks } = await suggestionWith({
      command: `(echo $$ > ${marks}/outer; sleep 300) & sh -c 'trap "" TERM; echo $$ > ${marks}/stubborn; while :; do sleep 0.1; done' & echo begun; wait`,
      timeout_seconds: 1,
    });
    await accept(id, hunks[0]?.id ?? "");
    const answer = await at.ask("/verify", { body: { suggestion_id: id } });
    expect(answer.body).toMatchObject({ ok: false, exit_code: null });
    expect(answer.body.output).toMatch(/^begun\n(.*\n)*stopped after 1 s$/);
    for (const name of ["outer", "stubborn"]) {
      const pid = Number(readFileSync(join(marks, name), "utf8"));
      await until(() => !existsSync(`/proc/${pid}`) || isZombie(pid), `the end of ${name}`);
    }
  });

  test("C1: a process that left the group and holds the output does not hold the answer", async () => {
    const mark = join(temporaryDirectory("verify"), "pid");
    const { id, hunks } = await suggestionWith({
      command: `setsid sh -c 'echo $$ > ${mark}; exec sleep 60' & while ! test -s ${mark}; do sleep 0.1; done; echo done`,
    });
    await accept(id, hunks[0]?.id ?? "");
    const answer = await at.ask("/verify", { body: { suggestion_id: id } });
    expect(answer.body).toMatchObject({ ok: true, output: "done\n" });
    const sleeper = Number(readFileSync(mark, "utf8"));
    expect(existsSync(`/proc/${sleeper}`)).toBe(true);
    process.kill(sleeper, "SIGKILL");
  });

  test("C1: of endless output the end is kept", async () => {
    const { id, hunks } = await suggestionWith({
      command: "yes 0123456789 | head -c 3000000; echo; echo last",
    });
    await accept(id, hunks[0]?.id ?? "");
    const { body } = await at.ask("/verify", { body: { suggestion_id: id } });
    expect(body.output).toStartWith("[…]\n");
    expect(body.output).toEndWith("last\n");
    expect(body.output.length).toBeLessThan(70_000);
  });

  test("C1: without a command the error names the setting", async () => {
    const { id } = await suggestionWith({});
    const answer = await at.ask("/verify", { body: { suggestion_id: id } });
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toContain("verify.command");
  });
});

describe("C1: auto_sync with a check", () => {
  test("C1: finalizes when the check passes", async () => {
    const { id, hunks } = await suggestionWith({ command: "test -f src/new.ts" }, { auto_sync: true });
    for (const hunk of hunks) await accept(id, hunk.id);
    await until(() => at.desk.get(id).state === "finalized", "the finalized suggestion", 20_000);
    expect(events("suggestion.verified").at(-1)).toMatchObject({ ok: true });
  });

  test("C1: says why it does not when the check fails, and goes on when the decisions change", async () => {
    const { id, hunks } = await suggestionWith({ command: "! test -f src/new.ts" }, { auto_sync: true });
    for (const hunk of hunks) await accept(id, hunk.id);
    await until(() => events("suggestion.error").length > 0, "the error", 20_000);
    expect(events("suggestion.error")).toMatchObject([
      { suggestion_id: id, code: "sync_failed", message: expect.stringContaining("exit code 1") },
    ]);
    expect(at.desk.get(id).state).toBe("open");
    const created = hunks.find(({ kind }) => kind === "create");
    const body = { suggestion_id: id, hunk_id: created?.id, action: "reject" };
    expect((await at.ask("/feedback", { body })).status).toBe(200);
    await until(() => at.desk.get(id).state === "finalized", "the finalized suggestion", 20_000);
  });
});

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
