/** Calls that are held before they begin, on a real opencode: what the developer makes of them is what runs. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ActivityEntry } from "../../src/protocol/activity.ts";
import { View } from "./activity/view.ts";
import { bash } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";
import { calls, WaitingPlace } from "./waiting-place.ts";

setDefaultTimeout(180_000);

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("a call that waits for the developer", () => {
  let at: WaitingPlace;

  beforeAll(async () => {
    at = await WaitingPlace.open();
    await at.place.publish();
  });
  afterAll(() => at?.close());

  test("a command runs exactly as edited; the model gets its output, and the history has both", async () => {
    const developer = await at.client();
    const live: ActivityEntry[] = [];
    developer.socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as { type: string; entry: ActivityEntry };
      if (message.type === "agent.activity") live.push(message.entry);
    });
    await developer.command({ type: "watch" });
    const session = await at.begun(bash("touch as-asked && echo said-first"));
    const asked = await at.asked(session);
    expect(asked).toMatchObject({
      permission: "bash",
      command: "touch as-asked && echo said-first",
      editable: true,
      arguments: { command: "touch as-asked && echo said-first", description: "works", timeout: 60_000 },
      cut: 0,
    });
    const command = "touch as-edited && echo said-$((1 + 1))nd";
    const { status, body } = await at.answer(asked.id, { reply: "edit", arguments: { command } });
    expect([status, body.permission?.edited?.command]).toEqual([200, command]);
    await at.ended(session);
    expect(["as-asked", "as-edited"].map((name) => existsSync(at.path(name)))).toEqual([false, true]);
    expect(at.heard("said-2nd")).toBe(true);
    expect(at.heard("The developer edited this call")).toBe(true);
    // Asked once, though opencode asks as well.
    const replayed = await at.activity(session);
    const [entry, ...more] = replayed.filter((one) => one.type === "agent.permission");
    expect(more).toEqual([]);
    expect(ActivityEntry.parse(entry)).toMatchObject({
      state: "answered",
      reply: "edit",
      by: "developer",
      arguments: { command: "touch as-asked && echo said-first" },
      edited: { command, description: "works", timeout: 60_000 },
    });
    const last = Math.max(...replayed.map(({ number }) => number));
    await until("all is heard", () => live.some(({ number }) => number === last));
    const here = live.filter(({ root_session_id }) => root_session_id === session);
    expect(View.of(here).entries).toEqual(View.of(replayed).entries);
    const parts = (await at.place.messages(session)).flatMap((message) => message.parts);
    const part = JSON.stringify(parts.filter(({ type }) => type === "tool"));
    expect(part).toContain("touch as-asked && echo said-first");
    expect(part).toContain("touch as-edited && echo said-$((1 + 1))nd");
    developer.close();
  });

  test("files are written and edited exactly as edited", async () => {
    const developer = await at.client();
    const filePath = at.path("written.txt");
    const written = await at.begun(calls("write", { filePath, content: "of the model\n" }));
    const asked = await at.asked(written);
    expect(asked).toMatchObject({
      permission: "edit",
      file: filePath,
      diff: "+of the model",
      editable: true,
    });
    const request = { permission_id: asked.id, reply: "edit", arguments: { content: "of mine\n\ttoo" } };
    expect((await developer.command({ type: "permission", request })).data).toMatchObject({
      success: true,
      permission: { reply: "edit", edited: { filePath, content: "of mine\n\ttoo" } },
    });
    await at.ended(written);
    expect(readFileSync(filePath, "utf8")).toBe("of mine\n\ttoo");
    expect(at.heard("of mine\\\\n\\\\ttoo")).toBe(true);

    writeFileSync(at.path("edited.txt"), "one\ntwo\nthree\n");
    const edit = { filePath: at.path("edited.txt"), oldString: "two", newString: "TWO" };
    const edited = await at.begun(calls("read", { filePath: edit.filePath }), calls("edit", edit));
    const waits = await at.asked(edited);
    expect(waits).toMatchObject({ permission: "edit", diff: "-two\n+TWO", arguments: edit });
    expect((await at.answer(waits.id, { reply: "edit", arguments: { newString: "2" } })).status).toBe(200);
    await at.ended(edited);
    expect(readFileSync(edit.filePath, "utf8")).toBe("one\n2\nthree\n");
    const parts = (await at.place.messages(edited)).flatMap((message) => message.parts);
    for (const text of ['\\"TWO\\"', '\\"2\\"']) expect(JSON.stringify(parts)).toContain(text);
    expect((await at.permissionsOf(edited)).length).toBe(1);
    developer.close();
  });

  test("an edit that is none is refused by its field, and it still waits", async () => {
    const session = await at.begun(bash("touch not-edited"));
    const { id } = await at.asked(session);
    for (const [body, field, expected] of [
      [{ reply: "edit" }, "arguments", /expected arguments when reply is edit/],
      [{ reply: "once", arguments: { command: "x" } }, "arguments", /only then/],
      [{ reply: "edit", arguments: { command: 5 } }, "arguments.command", /expected a text/],
      [{ reply: "edit", arguments: { command: null } }, "arguments.command", /expected a text/],
      [{ reply: "edit", arguments: { timeout: "1" } }, "arguments.timeout", /expected a number/],
      [{ reply: "edit", arguments: { command: " \n" } }, "arguments.command", /not empty/],
      [{ reply: "edit", arguments: { command: "a\0b" } }, "arguments.command", /NUL/],
      [{ reply: "edit", arguments: { filePath: "/x" } }, "arguments.filePath", /own fields: command/],
      [{ reply: "edit", arguments: { command: "x".repeat(70_000) } }, "arguments", /at most 65536 bytes/],
      [
        { reply: "edit", arguments: { command: "touch not-edited" } },
        "arguments",
        /other than what was asked/,
      ],
      [{ reply: "edit", arguments: "touch x" }, "arguments", /arguments/],
      [{ reply: "perhaps" }, "reply", /reply/],
    ] as const) {
      const answer = await at.answer(id, body);
      expect([JSON.stringify(body).slice(0, 80), answer.status]).toEqual([
        JSON.stringify(body).slice(0, 80),
        400,
      ]);
      expect(answer.body.error.code).toBe("invalid_request");
      expect(answer.body.error.message).toMatch(expected);
      expect(answer.body.error.message).toContain(field);
    }
    expect((await at.asked(session)).id).toBe(id);
    expect((await at.answer(id, { reply: "once" })).status).toBe(200);
    await at.ended(session);
    expect(existsSync(at.path("not-edited"))).toBe(true);
  });

  test("of several answers the first counts, and that one alone runs", async () => {
    const session = await at.begun(bash("touch first-0"));
    const { id } = await at.asked(session);
    const replies = [
      { reply: "once" },
      ...[1, 2, 3].map((n) => ({ reply: "edit", arguments: { command: `touch first-${n}` } })),
    ];
    const answers = await Promise.all(replies.map((reply) => at.answer(id, reply)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
    expect(answers.filter(({ status }) => status === 409).map(({ body }) => body.error.code)).toEqual(
      Array.from({ length: 3 }, () => "not_waiting"),
    );
    await at.ended(session);
    const ran = [0, 1, 2, 3].filter((n) => existsSync(at.path(`first-${n}`)));
    expect(ran).toEqual([answers.findIndex(({ status }) => status === 200)]);
    const late = await at.answer(id, { reply: "edit", arguments: { command: "touch first-4" } });
    expect([late.status, late.body.error.details.by]).toEqual([409, "developer"]);
  });

  test("a rejection runs nothing: with words the agent goes on, without them its turn ends", async () => {
    const told = await at.begun(bash("touch rejected-1"), bash("true went on"));
    await at.answer((await at.asked(told)).id, { reply: "reject", message: "Another way, please" });
    await at.ended(told);
    expect(at.heard("Another way, please")).toBe(true);
    expect(JSON.stringify(await at.place.messages(told))).toContain("true went on");
    const silent = await at.begun(bash("touch rejected-2"), bash("true went on"));
    const answer = await at.answer((await at.asked(silent)).id, { reply: "reject" });
    expect(answer.body.permission).toMatchObject({ state: "answered", reply: "reject" });
    await at.ended(silent);
    expect(JSON.stringify(await at.place.messages(silent))).not.toContain("true went on");
    expect([1, 2].filter((n) => existsSync(at.path(`rejected-${n}`)))).toEqual([]);
  });

  test("what is allowed from now on is what was named; a line with more in it is asked for", async () => {
    const first = await at.begun(bash("mkdir always-1"));
    const asked = await at.asked(first);
    expect(asked.always).toEqual(["mkdir *"]);
    await at.answer(asked.id, { reply: "always" });
    await at.ended(first);
    const second = await at.begun(bash("mkdir always-2 && mkdir always-3"));
    await at.ended(second);
    expect(await at.permissionsOf(second)).toEqual([]);
    expect([1, 2, 3].filter((n) => !existsSync(at.path(`always-${n}`)))).toEqual([]);
    for (const command of ["mkdir always-4; touch always-5", "mkdir $(touch always-5; echo always-4)"]) {
      const more = await at.begun(bash(command));
      await at.answer((await at.asked(more)).id, { reply: "reject", message: "no" });
      await at.ended(more);
    }
    expect([4, 5].filter((n) => existsSync(at.path(`always-${n}`)))).toEqual([]);
    // No rule is made of a line that nobody but a shell can read.
    const unclear = await at.begun(bash("touch $(echo unclear)"));
    const { id, always } = await at.asked(unclear);
    expect(always).toEqual([]);
    const refused = await at.answer(id, { reply: "always" });
    expect([refused.status, refused.body.error.message]).toEqual([400, expect.stringMatching(/^reply: /)]);
    await at.answer(id, { reply: "once" });
    await at.ended(unclear);
    expect(existsSync(at.path("unclear"))).toBe(true);
  });

  test("what opencode allows or refuses by itself does not wait", async () => {
    const allowed = await at.begun(bash("true && true quiet | true"));
    await at.ended(allowed);
    const denied = await at.begun(bash("rm as-asked"));
    await at.ended(denied);
    expect([...(await at.permissionsOf(allowed)), ...(await at.permissionsOf(denied))]).toEqual([]);
  });

  test("a subagent's call is edited as well, and dies with the turn above it", async () => {
    const inner = (command: string) => {
      at.place.when(`inner ${command}`, bash(command));
      const task = { description: "do it", prompt: `inner ${command}`, subagent_type: "general" };
      return at.begun(calls("task", task));
    };
    const session = await inner("touch of-the-child");
    const asked = await at.asked(session);
    expect(asked.session_id).not.toBe(session);
    await at.answer(asked.id, { reply: "edit", arguments: { command: "touch of-the-child-edited" } });
    await at.ended(session);
    expect([existsSync(at.path("of-the-child")), existsSync(at.path("of-the-child-edited"))]).toEqual([
      false,
      true,
    ]);
    const stopped = await inner("touch of-the-child-late");
    const waits = await at.asked(stopped);
    // By the host's own door, which names the session at the top alone.
    await at.place.opencode.call(`/session/${stopped}/abort`, {});
    await until("it is gone", async () => (await at.permissions()).every(({ id }) => id !== waits.id));
    expect((await at.answer(waits.id, { reply: "once" })).status).toBe(409);
    await at.ended(await at.begun(bash("true")));
    expect(existsSync(at.path("of-the-child-late"))).toBe(false);
  });

  test("what opencode itself asks for cannot be edited any more", async () => {
    const session = await at.begun(calls("webfetch", { url: "http://127.0.0.1:9/", format: "text" }));
    const asked = await at.asked(session);
    expect([asked.permission, asked.editable]).toEqual(["webfetch", undefined]);
    const answer = await at.answer(asked.id, { reply: "edit", arguments: { url: "http://127.0.0.1:10/" } });
    expect([answer.status, answer.body.error.message]).toEqual([400, expect.stringMatching(/^reply: /)]);
    expect((await at.answer(asked.id, { reply: "reject", message: "no" })).status).toBe(200);
    await at.ended(session);
  });

  test("the agent's token edits nothing and answers nothing", async () => {
    const session = await at.begun(bash("touch by-the-agent"));
    const { id } = await at.asked(session);
    const agent = await at.client("agent-token");
    const edit = { reply: "edit", arguments: { command: "touch by-the-agent-too" } };
    const request = { permission_id: id, ...edit };
    expect((await agent.command({ type: "permission", request })).code).toBe("forbidden");
    const response = await fetch(`${at.place.opencode.review}/agent/permissions/${id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${at.token("agent-token")}`, "content-type": "application/json" },
      body: JSON.stringify(edit),
    });
    expect(response.status).toBe(403);
    agent.close();
    await at.answer(id, { reply: "reject", message: "no" });
    await at.ended(session);
    expect(["by-the-agent", "by-the-agent-too"].filter((name) => existsSync(at.path(name)))).toEqual([]);
  });
});
