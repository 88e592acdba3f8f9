/** What is read of the host's rules and of a call, without a host. */
import { describe, expect, test } from "bun:test";
import type { PermissionRequest } from "@opencode-ai/sdk/v2";
import { Approved } from "../../../src/agent/approvals/approved.ts";
import { evaluate, matches, type Rule } from "../../../src/agent/approvals/rules.ts";
import { commandsOf, kindOf, wordsOf } from "../../../src/agent/approvals/shell-words.ts";
import { type Call, wouldAsk } from "../../../src/agent/approvals/would-ask.ts";

const PLACE = { directory: "/place/tree", worktree: "/place/tree" };
const rule = (permission: string, pattern: string, action: Rule["action"]): Rule => ({
  permission,
  pattern,
  action,
});
const call = (tool: string, args: Record<string, unknown>): Call => ({
  tool,
  session: "ses_1",
  call: "call_1",
  arguments: args,
});

describe("rules", () => {
  test("are the host's: the last that matches counts, none asks", () => {
    expect([matches("ls", "ls *"), matches("ls -a", "ls *"), matches("lsof", "ls *")]).toEqual([
      true,
      true,
      false,
    ]);
    expect([matches("a.b", "a?b"), matches("aXb", "a.b"), matches("a\nb", "a*b")]).toEqual([
      true,
      false,
      true,
    ]);
    const rules = [rule("*", "*", "allow"), rule("bash", "*", "ask"), rule("bash", "git *", "allow")];
    expect(
      ["git status", "rm x"].map((one) => evaluate("bash", one, rules)).concat(evaluate("edit", "x", rules)),
    ).toEqual(["allow", "ask", "allow"]);
    expect(evaluate("bash", "ls", [])).toBe("ask");
  });
});

describe("a shell's line", () => {
  test("is taken apart where that is certain", () => {
    expect(commandsOf("a 'b && c' && d > e 2>&1 | f; g || h &")).toEqual([
      "a 'b && c'",
      "d > e 2>&1",
      "f",
      "g",
      "h",
    ]);
    for (const line of [
      "a $(b)",
      "a `b`",
      "a <(b)",
      "(a)",
      "{ a; }",
      "if a; then b; fi",
      "a <<E",
      'a "$(b)"',
      'a "b',
      "a \\; b",
      "",
      "a # b",
    ])
      expect([line, commandsOf(line)]).toEqual([line, null]);
  });

  test("has words and a kind", () => {
    expect(wordsOf("cp 'a b' \"c\"d > out 2>&1 <in e")).toEqual(["cp", "a b", "cd", "e"]);
    expect(["mkdir a", "git status -s", "npm run x y", "ls", "A=1 b", "'x y' z"].map(kindOf)).toEqual([
      "mkdir *",
      "git status *",
      "npm run x *",
      "ls *",
      "A=1 b",
      "'x y' z",
    ]);
  });
});

describe("what the host would ask for", () => {
  const ALLOWS = [rule("*", "*", "allow"), rule("external_directory", "*", "ask")];
  const ASKS = [...ALLOWS, rule("bash", "*", "ask"), rule("edit", "*", "ask"), rule("edit", "*.env", "deny")];
  const asks = (tool: string, args: Record<string, unknown>, rules: Rule[] | null) =>
    wouldAsk(call(tool, args), rules, PLACE);

  test("is nothing where nothing can be asked for, and all where the rules are not known", () => {
    expect(asks("bash", { command: "rm -rf $(x)" }, ALLOWS)).toBeNull();
    expect(asks("write", { filePath: "/place/tree/a", content: "" }, ALLOWS)).toBeNull();
    expect(asks("glob", { pattern: "*" }, ASKS)).toBeNull();
    for (const known of [ASKS, null]) {
      expect(asks("bash", { command: "rm -rf $(x)" }, known)).toMatchObject({
        permission: "bash",
        always: [],
      });
      expect(asks("write", { filePath: "a", content: "" }, known)).toMatchObject({ patterns: ["a"] });
    }
    expect(asks("edit", { filePath: "x.env" }, ASKS)).toBeNull();
  });

  test("is what leaves the project", () => {
    expect(asks("bash", { command: "cat /etc/hosts ./a" }, ALLOWS)).toMatchObject({
      permission: "external_directory",
      patterns: ["/etc/*"],
    });
    expect(asks("bash", { command: "ls", workdir: "/etc/x" }, ALLOWS)?.patterns).toEqual(["/etc/*"]);
    expect(asks("bash", { command: "cat /place/tree/a" }, ALLOWS)).toBeNull();
    expect(asks("write", { filePath: "../b", content: "" }, ALLOWS)).toMatchObject({
      permission: "external_directory",
      patterns: ["/place/*"],
    });
  });
});

test("what is allowed from now on is no wider than what was shown: words that would be wildcards make no rule", () => {
  const rules = [rule("*", "*", "allow"), rule("bash", "*", "ask"), rule("external_directory", "*", "ask")];
  const always = (command: string) => wouldAsk(call("bash", { command }), rules, PLACE)?.always;
  expect(always("X=1 touch build-a")).toEqual([rule("bash", "X=1 touch build-a", "allow")]);
  for (const command of ["X=1 touch build-*", "./*", "*", "ls && X=? a", "cat /*/x", "cat /tm?/x"])
    expect([command, always(command)]).toEqual([command, []]);
  expect(wouldAsk(call("write", { filePath: "/*/x", content: "" }), rules, PLACE)?.always).toEqual([]);
});

describe("what was approved", () => {
  const asked = (more: Partial<PermissionRequest> = {}): PermissionRequest => ({
    id: "per_1",
    sessionID: "ses_1",
    permission: "bash",
    patterns: ["touch a"],
    always: [],
    metadata: { command: "touch a" },
    tool: { messageID: "msg_1", callID: "call_1" },
    ...more,
  });

  test("is that call, of that session, with those arguments", () => {
    const approved = new Approved();
    const one = call("bash", { command: "touch a" });
    expect(approved.covers(asked())).toBe(false);
    approved.add(one, PLACE);
    expect(approved.covers(asked())).toBe(true);
    for (const other of [
      { sessionID: "ses_2" },
      { tool: { messageID: "msg_1", callID: "call_2" } },
      { metadata: { command: "touch b" } },
      { metadata: {} },
      { permission: "doom_loop" },
    ])
      expect([other, approved.covers(asked(other))]).toEqual([other, false]);
    one.arguments.timeout = 5;
    expect(approved.covers(asked())).toBe(false);
    delete one.arguments.timeout;
    expect(approved.covers(asked())).toBe(true);
    expect(approved.isLate(asked())).toBe(false);
    approved.ended("ses_1", "call_1");
    expect([approved.covers(asked()), approved.isLate(asked())]).toEqual([false, true]);
    // Another call, by a name that comes again.
    expect(approved.isLate(asked({ permission: "webfetch", metadata: { url: "x" } }))).toBe(false);
    expect(approved.isLate(asked({ metadata: { command: "touch b" } }))).toBe(false);
    approved.ran("ses_1", "call_1");
    expect([approved.covers(asked()), approved.isLate(asked())]).toEqual([false, false]);
  });

  test("from now on is each of its commands", () => {
    const approved = new Approved();
    approved.allow([rule("bash", "touch *", "allow")]);
    expect(approved.covers(asked())).toBe(true);
    expect(approved.covers(asked({ patterns: ["touch a", "rm a"] }))).toBe(false);
    expect(approved.covers(asked({ patterns: [] }))).toBe(false);
    expect(approved.covers(asked({ permission: "edit" }))).toBe(false);
  });
});
