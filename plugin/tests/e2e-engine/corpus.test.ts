/**
 * Publish → decide → finalize over a corpus of hostile paths and kinds of change, through HTTP against the server's own
 * process: half of the cases accepted, half rejected; the pushed commit and the agent's files hold exactly that.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Git } from "../../src/vcs/git.ts";
import { HEALTHY, type Repo, repo } from "../support/repo.ts";
import { Served } from "../support/served.ts";

setDefaultTimeout(300_000);

type Content = string | Uint8Array;
type Node = { text: Content; executable?: boolean } | { link: string };
interface Case {
  name: string;
  before: Record<string, Node>;
  after: Record<string, Node>;
}

const text = (content: Content, executable = false): Node => ({ text: content, executable });
const latin1 = (content: string): Uint8Array => Buffer.from(content, "latin1");
/** Lines that no other case has, so that git sees no rename from one case to another. */
const own = (name: string, ...lines: string[]): string =>
  lines.map((line) => `${line} of ${name}\n`).join("");

const NAMES = [
  "plain",
  "with space",
  " leading space",
  "trailing space ",
  "tab\there",
  "new\nline",
  "carriage\rreturn",
  'double"quote',
  "single'quote",
  '"\\377"',
  "back\\slash",
  "\\",
  "-dash",
  "--",
  "--output=x",
  "*",
  "?",
  "[a]",
  "{a,b}",
  "a => b",
  ":(top)x",
  ":!x",
  "~",
  "$HOME",
  "`id`",
  "$(id)",
  ";ls",
  "|",
  "&",
  "#",
  "%41",
  "%",
  "é",
  "e\u0301",
  "日本",
  "😀",
  "\u202eabc",
  "\u0001",
  "\u007f",
  "CON",
  "a.",
  ".hidden",
  ".gitattributes",
  "...",
  "@",
  "@{0}",
  "HEAD",
  "a/b/c/d/e/f/g/deep",
  `${"n".repeat(200)}`,
  "file:0",
];

function cases(): Case[] {
  const all: Case[] = NAMES.map((name, index) => ({
    name: `edit of ${JSON.stringify(name.slice(0, 20))}`,
    before: { [name]: text(own(`n${index}`, "one", "two", "three")) },
    after: { [name]: text(own(`n${index}`, "one", "TWO", "three", "four")) },
  }));
  const kind = (name: string, before: Case["before"], after: Case["after"]) =>
    all.push({ name, before, after });
  const content = (name: string, before: Content, after: Content) =>
    kind(name, { f: text(before) }, { f: text(after) });
  const lines = (name: string) => own(name, "a", "b", "c", "d", "e", "f");

  content(
    "CRLF",
    own("crlf", "a", "b").replaceAll("\n", "\r\n"),
    own("crlf", "a", "c").replaceAll("\n", "\r\n"),
  );
  content("CRLF to LF", own("eol", "a", "b").replaceAll("\n", "\r\n"), own("eol", "a", "b"));
  content("lone CR", "lone a\rlone b\r", "lone a\rlone c\r");
  content("mixed endings", "mixed a\nmixed b\r\nmixed c\r", "mixed a\nmixed B\r\nmixed c\r\n");
  content("newline lost at the end", "lost a\nlost b\n", "lost a\nlost b");
  content("newline gained at the end", "gained a\ngained b", "gained a\ngained b\n");
  content("no newline on both sides", "none a\nnone b", "none a\nnone c");
  content("BOM", "\ufeffbom a\n", "\ufeffbom b\n");
  content("UTF-16", Buffer.from("\ufeffutf16 a\n", "utf16le"), Buffer.from("\ufeffutf16 b\n", "utf16le"));
  content("Latin-1", latin1("latin \xe9\n"), latin1("latin \xe8\n"));
  content("invalid UTF-8", latin1("invalid \xff\xfe\n"), latin1("invalid \xc3\x28\n"));
  content("NUL bytes", "nul \0 a\n", "nul \0 b\n");
  content("text that became binary", "was text\n", "is \0 binary\n");
  content("200 kB line", `${"x".repeat(200_000)} long\n`, `${"x".repeat(200_000)} longer\n`);
  content(
    "lines like headers",
    "--- a/x\n@@ -1 +1 @@\n-- q\nheaders\n",
    "+++ b/x\n@@ -2 +2 @@\n++ q\nheaders\n",
  );
  content(
    "conflict markers",
    "<<<<<<< a\n=======\n>>>>>>> markers\n",
    "<<<<<<< b\n=======\n>>>>>>> markers\n",
  );
  content("U+2028", "sep a\u2028b\n", "sep a\u2028c\n");
  content("everything gone from a file", own("emptied", "a"), "");
  content("something in an empty file", "", own("filled", "a"));
  content("many hunks", lines("many").repeat(20), lines("many").repeat(20).replaceAll("c of", "C of"));
  kind("created", {}, { f: text(own("created", "a", "b")) });
  kind("created empty", {}, { f: text("") });
  kind("created executable", {}, { f: text(own("x", "#!/bin/sh"), true) });
  kind("created binary", {}, { f: text(latin1("\0\x01created")) });
  kind("deleted", { f: text(own("deleted", "a", "b")) }, {});
  kind("deleted binary", { f: text(latin1("\0\x01deleted")) }, {});
  kind("renamed", { f: text(lines("renamed")) }, { g: text(lines("renamed")) });
  kind(
    "renamed with edits",
    { f: text(lines("edited")) },
    { g: text(lines("edited").replace("c of", "C of")) },
  );
  kind("renamed below itself", { f: text(lines("below")) }, { "f/g": text(lines("below")) });
  kind("copied", { f: text(lines("copied")) }, { f: text(lines("copied")), g: text(lines("copied")) });
  kind("mode", { f: text(own("mode", "a")) }, { f: text(own("mode", "a"), true) });
  kind("mode and content", { f: text(own("both", "a"), true) }, { f: text(own("both", "b")) });
  kind("symlink made", {}, { f: { link: "made target" } });
  kind("symlink retargeted", { f: { link: "old target" } }, { f: { link: "new target" } });
  kind("symlink gone", { f: { link: "gone target" } }, {});
  kind("symlink into a file", { f: { link: "file target" } }, { f: text("file target") });
  kind("file into a symlink", { f: text("link target") }, { f: { link: "link target" } });
  kind(
    "file into a directory",
    { f: text(own("dir", "a")) },
    { "f/a": text(own("dir", "b")), "f/b": text(own("dir", "c")) },
  );
  kind(
    "directory into a file",
    { "f/a": text(own("fil", "b")), "f/b": text(own("fil", "c")) },
    { f: text(own("fil", "a")) },
  );
  kind("directory into a symlink", { "f/a": text(own("lnk", "b")) }, { f: { link: "lnk" } });
  return all;
}

const CASES = cases();
const directory = (index: number): string => `case ${index}`;
const accepted = (index: number): boolean => index % 2 === 0;

function put(agent: Repo, index: number, nodes: Record<string, Node>): void {
  for (const [path, node] of Object.entries(nodes)) {
    const place = `${directory(index)}/${path}`;
    if ("link" in node) agent.link(place, node.link);
    else agent.file(place, node.text, node.executable ? 0o755 : 0o644);
  }
}

const describeNode = (node: Node): string =>
  "link" in node
    ? `120000 ${Buffer.from(node.link).toString("latin1")}`
    : `${node.executable ? "100755" : "100644"} ${Buffer.from(node.text as string).toString("latin1")}`;

async function nodesOf(git: Git, commit: string): Promise<Record<string, string>> {
  const { stdout } = await git.run(["ls-tree", "-r", "-z", commit]);
  const entries = Buffer.from(stdout)
    .toString("utf8")
    .split("\0")
    .filter((entry) => entry !== "");
  const parsed = entries.map((entry) => /^(\d+) blob (\w+)\t(.*)$/s.exec(entry) as unknown as string[]);
  const blobs = await git.readObjects(parsed.map(([, , oid]) => oid as string));
  return Object.fromEntries(
    parsed.map(([, mode, oid, path]) => [
      path,
      `${mode} ${Buffer.from(blobs.get(oid as string)?.bytes ?? []).toString("latin1")}`,
    ]),
  );
}

function diskNode(path: string): string | null {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return `120000 ${Buffer.from(readlinkSync(path)).toString("latin1")}`;
    if (stat.isDirectory()) return null;
    return `${stat.mode & 0o100 ? "100755" : "100644"} ${readFileSync(path).toString("latin1")}`;
  } catch {
    return null;
  }
}

let agent: Repo;
let served: Served;
let suggestion: string;
let warnings: string[];
// biome-ignore lint/suspicious/noExplicitAny: answers of the server
let hunks: any[];

beforeAll(async () => {
  agent = await repo();
  appendFileSync(agent.env.JJ_CONFIG as string, '[snapshot]\nmax-new-file-size = "1MiB"\n');
  agent.file("keep", "kept\n");
  for (const [index, one] of CASES.entries()) put(agent, index, one.before);
  await agent.commit("base");
  await agent.jj("bookmark", "create", "main", "-r", "@-");
  served = await Served.start(agent);
  for (const [index, one] of CASES.entries()) {
    if (existsSync(join(agent.dir, directory(index)))) agent.remove(directory(index));
    put(agent, index, one.after);
  }
  agent.file("too large", "x".repeat(2_000_000));
  agent.file(Buffer.from("\xff", "latin1"), "not UTF-8\n");
  const published = await served.post("/suggestions", { description: "The corpus" }, "agent");
  expect(published.status).toBe(201);
  suggestion = published.body.suggestion_id;
  warnings = published.body.warnings;
  hunks = await served.hunks(suggestion);
});
afterAll(() => served.kill("SIGTERM"));

const hunksOf = (index: number) =>
  hunks.filter((hunk) => hunk.file.startsWith(`${directory(index)}/`) || hunk.file === directory(index));

describe(`a corpus of ${CASES.length} cases, published`, () => {
  test("has hunks for every case, and for nothing else", () => {
    const without = CASES.flatMap((one, index) => (hunksOf(index).length === 0 ? [one.name] : []));
    expect(without).toEqual([]);
    expect(CASES.reduce((sum, _, index) => sum + hunksOf(index).length, 0)).toBe(hunks.length);
    expect(CASES.length).toBeGreaterThanOrEqual(70);
  });

  test("tells the agent what jj did not take", () => {
    expect(warnings.join("\n")).toContain("too large");
  });

  test("shows both sides of every file, byte for byte", async () => {
    for (const [index, one] of CASES.entries()) {
      const [hunk] = hunksOf(index);
      const path = (hunk.file as string).slice(directory(index).length + 1);
      const node = one.after[path];
      if (node === undefined || "link" in node) continue;
      const query = new URLSearchParams({ file: hunk.file, side: "proposed" });
      const { body } = await served.get(`/suggestions/${suggestion}/content?${query}`);
      expect([one.name, body.base64]).toEqual([
        one.name,
        Buffer.from(node.text as string).toString("base64"),
      ]);
    }
  });

  test("is decided, finalized and settled exactly", async () => {
    for (const [index, one] of CASES.entries()) {
      for (const hunk of hunksOf(index)) {
        const action = accepted(index) ? "accept" : "reject";
        const decision = { suggestion_id: suggestion, hunk_id: hunk.id, action, digest: hunk.digest };
        expect([one.name, (await served.post("/feedback", decision)).status]).toEqual([one.name, 200]);
      }
    }
    const finalized = await served.post("/complete", { suggestion_id: suggestion, action: "finalize" });
    expect([finalized.status, finalized.body]).toEqual([
      200,
      expect.objectContaining({ action: "finalized" }),
    ]);

    const expected: Record<string, string> = { keep: "100644 kept\n" };
    for (const [index, one] of CASES.entries()) {
      for (const [path, node] of Object.entries(accepted(index) ? one.after : one.before)) {
        expected[`${directory(index)}/${path}`] = describeNode(node);
      }
    }
    const hub = (await served.get("/health")).body.projects[0].hub as string;
    const git = new Git(join(served.state, hub));
    expect(await nodesOf(git, finalized.body.commit)).toEqual(expected);

    const settled = await served.post("/settle", {}, "agent");
    expect(settled.body).toMatchObject({ settled: true });
    const onDisk = Object.fromEntries(
      Object.keys(expected).map((path) => [path, diskNode(join(agent.dir, path))]),
    );
    expect(onDisk).toEqual(expected);
    expect(await agent.health()).toEqual(HEALTHY);
    // What jj never took is still the agent's.
    expect(agent.read("too large")).toHaveLength(2_000_000);
  });
});
