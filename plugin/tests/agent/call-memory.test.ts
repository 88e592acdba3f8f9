/** What is remembered of calls, and what comes of it at publish: real files, git, jj and ledger; the host's hooks are called as it does. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CallMemory } from "../../src/agent/call-memory.ts";
import { isTestRun, summaryOf } from "../../src/agent/call-words.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import { FileMemory } from "../../src/vcs/file-memory.ts";
import { Review } from "../support/desk.ts";

setDefaultTimeout(60_000);

const SESSION = "ses_1";
const lines = (...words: string[]): string => words.map((word) => `${word}\n`).join("");
const TEXT = lines("one", "two", "three", "four", "five");

class Watched {
  memory!: CallMemory;
  files!: FileMemory;
  leftovers = false;
  readonly failures: string[] = [];
  #next = 0;

  private constructor(readonly review: Review) {}

  static async of(files: Record<string, string>): Promise<Watched> {
    const watched = new Watched(await Review.of(files));
    await watched.watch();
    return watched;
  }

  /** As a host that has just started does. */
  async watch(): Promise<void> {
    const { project, desk } = this.review;
    const store = await project.jj.store();
    const place = join(desk.callsRoot(), `${project.hubName}.git`);
    this.files = await FileMemory.open(place, project.dir, store.dir);
    this.memory = new CallMemory({
      ledger: desk.ledger,
      project: project.dir,
      files: Promise.resolve(this.files),
      ownTools: new Set(["publish_suggestion"]),
      hasLeftovers: () => this.leftovers,
      failed: (error) => this.failures.push(String(error)),
    });
    project.memory = this.memory;
  }

  async begin(tool: string, args: Record<string, unknown>): Promise<string> {
    const call = `call_${++this.#next}`;
    await this.memory.begin({ tool, session: SESSION, call, arguments: args }, this.review.project.dir);
    return call;
  }

  async end(call: string, exit: number | null = null): Promise<string> {
    await this.memory.end(SESSION, call, exit);
    return `${SESSION}/${call}`;
  }

  async write(path: string, content: string): Promise<string> {
    const call = await this.begin("write", { filePath: join(this.review.project.dir, path) });
    this.review.repo.file(path, content);
    return this.end(call);
  }

  async bash(command: string, exit = 0): Promise<string> {
    const call = await this.begin("bash", { command });
    this.run(command);
    return this.end(call, exit);
  }

  run(command: string): void {
    Bun.spawnSync(["sh", "-c", command], { cwd: this.review.project.dir });
  }

  async publish(): Promise<string> {
    return (await this.review.publish()).suggestion_id;
  }

  /** Each added line of a suggestion with what is said of it. */
  async said(id: string): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const hunk of this.review.hunks(id)) Object.assign(found, await this.ofHunk(id, hunk));
    return found;
  }

  async ofHunk(id: string, hunk: Hunk): Promise<Record<string, string>> {
    const why = await this.review.desk.why(id, hunk.id, "developer");
    const added = hunk.diff.split("\n").filter((line) => /^\+(?!\+\+)/.test(line));
    const said = why.lines
      .filter(({ side }) => side === "added")
      .flatMap(({ count, origin, calls }) =>
        Array.from({ length: count }, () => [origin, ...calls].join(" ")),
      );
    expect(said.length).toBe(added.length);
    return Object.fromEntries(added.map((line, index) => [line.slice(1), said[index] as string]));
  }
}

describe("what is remembered", () => {
  let watched: Watched;
  beforeAll(async () => {
    watched = await Watched.of({ "base.txt": TEXT, "old/name.txt": TEXT, ".gitignore": "ignored/\n" });
  });
  afterAll(() => watched.review.close());

  test("of files that are named, of a command, of a tool that nobody knows; what is ignored is not looked at", async () => {
    const one = await watched.write("base.txt", `${TEXT}by one\n`);
    const two = await watched.bash(
      "echo by two >> base.txt; mkdir -p ignored; echo x > ignored/file; mv old/name.txt new.txt",
    );
    const call = await watched.begin("some_server_replace", { path: "new.txt" });
    watched.run("echo by three >> new.txt");
    const three = await watched.end(call);
    const read = await watched.begin("read", { filePath: join(watched.review.project.dir, "base.txt") });
    watched.run("echo by a developer >> base.txt");
    await watched.end(read);
    const four = await watched.write("base.txt", `${TEXT}by one\nby two\nby a developer\nby four\n`);
    const id = await watched.publish();
    expect(await watched.said(id)).toEqual({
      "by one": `call ${one}`,
      "by two": `call ${two}`,
      "by three": `call ${three}`,
      "by a developer": "outside",
      "by four": `call ${four}`,
    });
    const rename = watched.review.hunks(id).find(({ kind }) => kind === "rename") as Hunk;
    expect((await watched.review.desk.why(id, rename.id, "developer")).whole).toEqual([
      { origin: "call", calls: [two] },
    ]);
    expect(watched.failures).toEqual([]);
  });
});

test("what two calls at the same time could both have made is not one's", async () => {
  const watched = await Watched.of({ "a.txt": TEXT, "b.txt": TEXT });
  const [a, b] = ["a.txt", "b.txt"].map((file) => ({ filePath: join(watched.review.project.dir, file) }));
  // Two that name different files do not meet; a command meets them both.
  const first = await watched.begin("edit", a as Record<string, unknown>);
  const second = await watched.begin("edit", b as Record<string, unknown>);
  watched.run("echo apart one >> a.txt; echo apart two >> b.txt");
  const [one, two] = [await watched.end(first), await watched.end(second)];
  const third = await watched.begin("edit", a as Record<string, unknown>);
  const command = await watched.begin("bash", { command: "anything" });
  watched.run("echo together >> a.txt; echo command >> c.txt");
  const [three, four] = [await watched.end(third), await watched.end(command)];
  const said = await watched.said(await watched.publish());
  expect(said["apart one"]).toBe(`call ${one}`);
  expect(said["apart two"]).toBe(`call ${two}`);
  expect(new Set(said.together?.split(" "))).toEqual(new Set(["several", three, four]));
  expect(said.command).toBe(`call ${four}`);
  watched.review.close();
});

test("what a process that was left running may have written during a command is nobody's", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  watched.leftovers = true;
  await watched.bash("echo by whom >> a.txt");
  const named = await watched.write("b.txt", "named\n");
  expect(await watched.said(await watched.publish())).toEqual({
    "by whom": "unknown",
    named: `call ${named}`,
  });
  watched.review.close();
});

test("a host that was killed during a call: what was remembered stays, what was missed is unknown", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const one = await watched.write("a.txt", `${TEXT}by one\n`);
  await watched.memory.settled();
  await watched.begin("bash", { command: "echo cut off >> a.txt" });
  watched.run("echo cut off >> a.txt");
  // No word of its end comes: the ledger is all that is left.
  await watched.review.restart();
  await watched.watch();
  const two = await watched.bash("echo by two >> a.txt");
  const id = await watched.publish();
  expect(await watched.said(id)).toEqual({
    "by one": `call ${one}`,
    "cut off": "unknown",
    "by two": `call ${two}`,
  });
  watched.review.close();
});

test("a call that never ends before the publish explains nothing, and makes nothing outside", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const one = await watched.write("a.txt", `${TEXT}by one\n`);
  const open = await watched.begin("bash", { command: "a server" });
  watched.run("echo still running >> a.txt");
  const id = await watched.publish();
  expect(await watched.said(id)).toEqual({ "by one": `call ${one}`, "still running": "unknown" });
  await watched.end(open);
  watched.review.close();
});

test("of a call that failed only an event tells: a file that it named is its own, anything else is unknown", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const { project } = watched.review;
  const one = await watched.begin("write", { filePath: join(project.dir, "b.txt") });
  watched.run("echo named > b.txt");
  watched.memory.clear(SESSION);
  await watched.begin("bash", { command: "x" });
  watched.run("echo before it failed >> a.txt");
  watched.memory.clear(SESSION);
  const said = await watched.said(await watched.publish());
  expect(said).toEqual({ named: `call ${SESSION}/${one}`, "before it failed": "unknown" });
  watched.review.close();
});

test("a new revision finds what holds: by its calls, else by what was said of the same hunk before", async () => {
  const watched = await Watched.of({ "a.txt": TEXT, "b.txt": TEXT });
  const one = await watched.write("a.txt", `${TEXT}by one\n`);
  const two = await watched.write("b.txt", `by two\n${TEXT}`);
  const id = await watched.publish();
  await watched.review.repo.jj("edit", "@-");
  watched.review.desk.ledger.change("DELETE FROM file_change WHERE path = 'a.txt'");
  const three = await watched.bash("echo by three >> b.txt; echo new > c.txt");
  expect(await watched.publish()).toBe(id);
  expect(await watched.said(id)).toEqual({
    "by one": `call ${one}`,
    "by two": `call ${two}`,
    "by three": `call ${three}`,
    new: `call ${three}`,
  });
  watched.review.close();
});

test("a rebase onto what others changed in the same file keeps whose lines they are", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const one = await watched.write("a.txt", `${TEXT}by one\n`);
  const id = await watched.publish();
  await watched.review.sharedBranchMoves({ "a.txt": `by others\n${TEXT}` });
  await watched.review.desk.rebase({ suggestion_id: id }, "developer");
  expect(await watched.said(id)).toEqual({ "by one": `call ${one}` });
  watched.review.close();
});

test("parts of a hunk know their own lines, and so does what is joined again", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const one = await watched.write("a.txt", `${TEXT}by one\n`);
  const two = await watched.write("a.txt", `${TEXT}by one\nby two\n`);
  const id = await watched.publish();
  const [hunk] = watched.review.hunks(id) as [Hunk];
  const { desk } = watched.review;
  const range = { old: [0, 0], new: [0, 1] } as const;
  desk.decide(
    {
      suggestion_id: id,
      hunk_id: hunk.id,
      action: "accept",
      lines: { old: [...range.old], new: [...range.new] },
    },
    "developer",
  );
  const parts = watched.review.hunks(id);
  expect(parts.length).toBe(2);
  expect(await watched.ofHunk(id, parts[0] as Hunk)).toEqual({ "by one": `call ${one}` });
  expect(await watched.ofHunk(id, parts[1] as Hunk)).toEqual({ "by two": `call ${two}` });
  desk.undo({ suggestion_id: id }, "developer");
  expect(await watched.said(id)).toEqual({ "by one": `call ${one}`, "by two": `call ${two}` });
  await expect(desk.why(id, `${id}:none:0`, "developer")).rejects.toMatchObject({ code: "not_found" });
  watched.review.close();
});

test("what was published and closed is dropped, what is still under review is not", async () => {
  const watched = await Watched.of({ "a.txt": TEXT, "b.txt": TEXT });
  const count = () =>
    watched.review.desk.ledger.row<{ n: number }>("SELECT count(*) AS n FROM file_change")?.n ?? -1;
  const kept = () => {
    const objects = join(watched.review.desk.callsRoot(), `${watched.review.project.hubName}.git/objects`);
    return readdirSync(objects).filter((name) => /^[0-9a-f]{2}$/.test(name)).length;
  };
  await watched.write("a.txt", `${TEXT}a\n`);
  const first = await watched.publish();
  await watched.write("b.txt", `${TEXT}b\n`);
  const second = await watched.publish();
  expect(count()).toBe(2);
  expect(kept()).toBeGreaterThan(0);
  watched.review.acceptAll(first);
  await watched.review.finalize(first);
  watched.memory.tidy();
  await watched.memory.settled();
  expect(count()).toBe(1);
  await watched.review.discard(second);
  watched.memory.tidy();
  await watched.memory.settled();
  expect(count()).toBe(0);
  expect(kept()).toBe(0);
  // What was said stays.
  expect((await watched.said(first)).a).toMatch(/^call /);
  watched.review.close();
});

test("names beyond ASCII, links, files that are too large, a folder in the place of a file", async () => {
  const watched = await Watched.of({ "a.txt": TEXT });
  const call = await watched.begin("bash", { command: "odd things" });
  watched.review.repo.file("ö\t'\"ü.txt", "odd name\n");
  watched.run(
    "ln -s a.txt link; head -c 6000000 /dev/zero > large.bin; rm a.txt; mkdir a.txt; echo inside > a.txt/file; mkfifo pipe",
  );
  const odd = await watched.end(call);
  const id = await watched.publish();
  const said = await watched.said(id);
  expect(said["odd name"]).toBe(`call ${odd}`);
  expect(watched.failures).toEqual([]);
  const whole = async (file: string) => {
    const hunk = watched.review.hunks(id).find((one) => one.file === file) as Hunk;
    return (await watched.review.desk.why(id, hunk.id, "developer")).whole;
  };
  for (const file of ["link", "a.txt"]) expect(await whole(file)).toEqual([{ origin: "call", calls: [odd] }]);
  expect(await whole("large.bin")).toEqual([{ origin: "unknown", calls: [] }]);
  watched.review.close();
});

test("which commands look like runs of tests, and what a call is called", () => {
  const runs = [
    "npm test",
    "npm run test:unit",
    "cargo test --all",
    "go test ./...",
    "python3 -m pytest -q",
    "CI=1 bun test x",
    "cd sub && make check",
    "npx vitest run",
    "sh tests.sh 3",
    "./run-tests.sh",
    "node --test",
    "timeout 60 npm test",
  ];
  expect(runs.filter((one) => !isTestRun(one))).toEqual([]);
  const others = [
    "ls",
    "test -e file",
    "git commit -m 'npm test'",
    "echo test",
    "cat tests.txt",
    "mkdir test",
    "npm install",
    undefined,
  ];
  expect(others.filter(isTestRun)).toEqual([]);
  const words = (given: Record<string, unknown>) => summaryOf({ arguments: given }, "/home/agent/project");
  expect(words({ filePath: "/home/agent/project/src/a.ts" })).toBe("src/a.ts");
  expect(words({ filePath: "/etc/passwd" })).toBe("/etc/passwd");
  expect(words({ command: "one\ntwo" })).toBe("one …");
  expect(words({ patchText: "*** Begin Patch\n*** Add File: x.ts\n+1\n*** Update File: y.ts\n" })).toBe(
    "x.ts, y.ts",
  );
  expect(words({ some: 1 })).toBe('{"some":1}');
});
