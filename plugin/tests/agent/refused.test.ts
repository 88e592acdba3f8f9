/** What the host's own file tools are refused in a cage, as the journal and `GET /sandbox` tell it: through the real host. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deniedFile } from "../../src/agent/denied.ts";
import { CAGED } from "../../src/agent/links.ts";
import type { Refusal } from "../../src/protocol/model.ts";
import { AgentPlace } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

/** As the launcher sets them, and a rule of the developer's. */
const RULES = {
  external_directory: "deny",
  edit: { "opencode.json": "deny", "opencode.jsonc": "deny", ".opencode/*": "deny" },
  read: { "*": "allow", "*.secret": "deny" },
};

describe.skipIf(missingOpencode() !== null)("in a cage", () => {
  let place: AgentPlace;
  let refusals: (Refusal & { first_at: string })[];
  let events: Refusal[];
  let heard: string[];

  beforeAll(async () => {
    process.env[CAGED] = "/bin/sh";
    try {
      place = await AgentPlace.open(RULES, (root, dir) => {
        writeFileSync(join(root, "outside.txt"), "sentinel\n");
        writeFileSync(join(dir, "own.secret"), "sentinel\n");
        writeFileSync(join(dir, "here.txt"), "here\n");
        symlinkSync(join(root, "outside.txt"), join(dir, "link"));
      });
    } finally {
      delete process.env[CAGED];
    }
    const outside = join(place.root, "outside.txt");
    const inside = (name: string) => join(place.field.dir, name);
    const tool = (name: string, args: Record<string, unknown>) => ({ tool: name, args });
    place.when("try it", {
      calls: [
        tool("write", { filePath: "opencode.json", content: "{}" }),
        tool("edit", { filePath: inside(".opencode/plugins/evil.js"), oldString: "", newString: "evil" }),
        tool("read", { filePath: outside }),
        tool("read", { filePath: `${place.root}/\u202etxt.\n${`${"x".repeat(200)}/`.repeat(8)}` }),
        tool("read", { filePath: "link" }),
        tool("read", { filePath: "own.secret" }),
        tool("glob", { pattern: "*.txt", path: place.root }),
        tool("grep", { pattern: "sentinel", path: place.root }),
        tool("bash", { command: `true && cat '${outside}'`, description: "looks" }),
        // What merely fails, or is done.
        tool("read", { filePath: "not-there.txt" }),
        tool("edit", { filePath: inside("here.txt"), oldString: "nowhere", newString: "x" }),
        tool("glob", { pattern: "*.nothing" }),
        tool("bash", { command: "exit 3", description: "fails" }),
        tool("read", { filePath: "here.txt" }),
      ],
    });
    await place.prompt("try it", await place.newSession());
    await until("everything is told", async () => {
      const { body } = await place.opencode.desk<{ refusals: typeof refusals }>("/sandbox");
      refusals = body.refusals;
      return refusals.length >= 9;
    });
    events = (
      await place.opencode.desk<{ events: Refusal[] }>("/events?type=sandbox.refused&since=0&limit=1000")
    ).body.events;
    const last = place.opencode.model.requests.at(-1)?.messages ?? [];
    heard = last.filter(({ role }) => role === "tool").map(({ content }) => JSON.stringify(content));
  });
  afterAll(() => place?.close());

  const of = (reason: string) => refusals.filter((one) => one.reason === reason);
  const short = ({ kind, program, target, command }: Refusal) => [kind, program, target, command];

  test("what opencode itself would load is told as refused, with the tool and the call", () => {
    expect(of("opencode itself would load it").map(short).sort()).toEqual([
      [
        ...["file", "edit", ".opencode/plugins/evil.js"],
        `edit ${join(place.field.dir, ".opencode/plugins/evil.js")}`,
      ],
      ["file", "write", "opencode.json", "write opencode.json"],
    ]);
  });

  test("so is whatever is outside of the repository, to a tool and to a command that names it", () => {
    const outside = join(place.root, "outside.txt");
    const told = of("outside of the repository").map(short);
    expect(told).toContainEqual(["file", "read", outside, `read ${outside}`]);
    expect(told).toContainEqual(["file", "glob", place.root, `glob *.txt ${place.root}`]);
    expect(told).toContainEqual(["file", "grep", place.root, `grep sentinel ${place.root}`]);
    expect(told).toContainEqual(["file", "bash", outside, `true && cat '${outside}'`]);
    expect(told).toHaveLength(5);
  });

  test("so is a link that leads out, and what the developer's own rules deny", () => {
    expect(of("a link that leads out of the repository").map(short)).toEqual([
      ["file", "read", "link", "read link"],
    ]);
    expect(of("a rule of opencode's settings").map(short)).toEqual([
      ["file", "read", "own.secret", "read own.secret"],
    ]);
  });

  test("a name that the agent made up is one short line", () => {
    const odd = of("outside of the repository").find(({ target }) => target.includes("txt. xxx"));
    expect(odd?.target).toStartWith(`${place.root}/ txt. xxx`);
    expect(odd?.target).toEndWith("x…");
    expect(odd?.target.length).toBeLessThanOrEqual(301);
    expect(odd?.command?.length).toBeLessThanOrEqual(301);
  });

  test("nothing that was only not there, did not fit or failed is told as refused, and the model got all answers", () => {
    expect(refusals).toHaveLength(9);
    expect(refusals.map(({ count }) => count)).toEqual(Array(9).fill(1));
    expect(events.map(({ target }) => target).sort()).toEqual(refusals.map(({ target }) => target).sort());
    expect(heard).toHaveLength(14);
    expect(heard.join("\n")).not.toContain("sentinel\\n");
  });
});

describe("how a call ended", () => {
  const place = { directory: "/repo", worktree: "/repo" };
  const rule = (permission: string, pattern: string, action: string) => ({ permission, pattern, action });
  const denied = (rules: unknown) =>
    `The user has specified a rule which prevents you from using this specific tool call. Here are some of the relevant rules ${JSON.stringify(rules)}`;
  const all = rule("*", "*", "allow");
  const outside = [all, rule("external_directory", "*", "deny")];
  const edit = [all, rule("edit", "secret/*", "deny")];
  const file = (tool: string, error: string, input: Record<string, unknown>) =>
    deniedFile({ tool, error, input }, place);

  test("names the file of a patch that the rules are about, and no other", () => {
    const patch = (...names: string[]) => ({
      patchText: `*** Begin Patch\n${names.map((name) => `*** Update File: ${name}\n`).join("")}*** End Patch`,
    });
    expect(file("apply_patch", denied(edit), patch("a", "secret/b"))?.target).toBe("secret/b");
    expect(file("apply_patch", denied(outside), patch("a", "../c"))?.target).toBe("../c");
    expect(file("apply_patch", denied(edit), patch("a"))).toBeNull();
  });

  test("is no refusal where its text is another, or holds one", () => {
    for (const error of [
      "File not found: /repo/secret/a",
      `Error: ${denied(edit)}`,
      `${denied(edit)} and more`,
      denied({}),
      denied([{ permission: "edit" }]),
      denied([]),
      "The user rejected permission to use this specific tool call.",
    ])
      expect(file("edit", error, { filePath: "secret/a" })).toBeNull();
  });

  test("is no file's where a command itself, or another tool, was denied", () => {
    expect(file("bash", denied([all, rule("bash", "rm *", "deny")]), { command: "rm secret/a" })).toBeNull();
    expect(file("webfetch", denied([rule("webfetch", "*", "deny")]), { url: "http://x/" })).toBeNull();
  });
});
