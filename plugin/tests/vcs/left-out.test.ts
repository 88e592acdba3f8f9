/** What is in the agent's working copy and not in what it publishes is told: to the agent, and with the suggestion. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { createTools } from "../../src/agent/tools.ts";
import { Review } from "../support/desk.ts";
import { temporaryDirectory } from "../support/place.ts";

setDefaultTimeout(60_000);

let review: Review;
afterEach(() => review.close());

async function run(cwd: string, ...command: string[]): Promise<string> {
  const child = Bun.spawn(command, {
    cwd,
    stdout: "pipe",
    stderr: "pipe",
    env: {
      ...process.env,
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_NAME: "Agent",
      GIT_AUTHOR_EMAIL: "agent@example.org",
      GIT_COMMITTER_NAME: "Agent",
      GIT_COMMITTER_EMAIL: "agent@example.org",
    },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Publishes, and checks that the suggestion has the warnings that the answer had, and its event too. */
async function warnings(): Promise<string[]> {
  const answer = await review.publish();
  expect(review.desk.get(answer.suggestion_id).warnings).toEqual(answer.warnings);
  const ready = review.heard
    .map(({ json }) => JSON.parse(json))
    .find(({ type }) => type === "suggestion.ready");
  expect(ready.suggestion.warnings).toEqual(answer.warnings);
  return answer.warnings;
}

describe("files that jj cannot take", () => {
  test("D17: FIFOs, sockets and devices are named, ignored ones are not", async () => {
    review = await Review.of({ poem: "one\n", ".gitignore": "*.tmp\n" });
    const { repo } = review;
    repo.edit("poem", { one: "two" }).file("run/keep", "kept\n");
    await run(repo.dir, "mkfifo", "pipe", "run/pipe", "ignored.tmp");
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(repo.dir, "run/socket"), done));
    const isRoot = process.getuid?.() === 0;
    if (isRoot) await run(repo.dir, "mknod", "null", "c", "1", "3");
    try {
      expect(await warnings()).toEqual([
        "pipe, run/pipe: a FIFO cannot be part of a suggestion",
        "run/socket: a socket cannot be part of a suggestion",
        ...(isRoot ? ["null: a device cannot be part of a suggestion"] : []),
      ]);
    } finally {
      server.close();
    }
  });

  test("D17: a file that a FIFO has taken the place of", async () => {
    review = await Review.of({ poem: "one\n", other: "o\n" });
    review.repo.remove("other");
    await run(review.repo.dir, "mkfifo", "other");
    expect(await warnings()).toEqual(["other: a FIFO cannot be part of a suggestion"]);
  });

  test("D17: the agent reads of them in the answer of its tool", async () => {
    review = await Review.of({ poem: "one\n" });
    review.repo.edit("poem", { one: "two" });
    await run(review.repo.dir, "mkfifo", "pipe");
    const tool = createTools(review.desk, review.project.dir, async (session) => session).publish_suggestion;
    const answer = await tool?.execute({ description: "With a FIFO" }, { sessionID: "ses_1" } as never);
    expect(answer).toContain("Warning: pipe: a FIFO cannot be part of a suggestion");
  });

  test("C11: a new file above jj's own limit is taken; a limit that somebody set is kept, and told", async () => {
    review = await Review.of({ poem: "one\n" });
    const { repo } = review;
    const big = Buffer.alloc(3 * 1024 * 1024, "line of text\n");
    repo.file("big.txt", big);
    const first = await review.publish();
    expect(first.warnings).toEqual([]);
    expect(first.files).toEqual(["big.txt"]);
    expect(await repo.jj("file", "show", "-r", "@-", "root:big.txt")).toHaveLength(big.length);
    await repo.jj("config", "set", "--repo", "snapshot.max-new-file-size", "2MiB");
    // The limit is looked up again only after a while.
    await review.restart();
    repo.file("bigger.txt", big).edit("poem", { one: "two" });
    const [warning] = (await review.publish()).warnings;
    expect(warning).toContain("bigger.txt: 3.0MiB");
  });
});

describe("work inside submodules", () => {
  /** An agent's repository with a submodule that git knows, as a clone has it. */
  async function withSubmodule(): Promise<string> {
    const source = join(temporaryDirectory("library"), "library");
    await run("/", "git", "init", "--quiet", "--initial-branch=main", source);
    await Bun.write(join(source, "f"), "f\n");
    await run(source, "git", "add", "--all");
    await run(source, "git", "commit", "--quiet", "--message=library");
    review = await Review.of({ poem: "one\n" });
    const { dir } = review.repo;
    await run(
      dir,
      ...["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", source, "library"],
    );
    await run(dir, "git", "commit", "--quiet", "--message=with library");
    await run(dir, "jj", "git", "import");
    // On the shared branch: what is published next stands on nothing that is under no review.
    const commit = await run(dir, "git", "rev-parse", "HEAD");
    await review.project.hub.take(join(dir, ".git"), commit.trim(), "refs/heads/main");
    return join(dir, "library");
  }

  test("D17: nothing is said of one that is as it was recorded", async () => {
    await withSubmodule();
    review.repo.edit("poem", { one: "two" });
    await run(review.repo.dir, "touch", "library/f");
    expect(await warnings()).toEqual([]);
  });

  test("D17: edits and new files in it", async () => {
    const library = await withSubmodule();
    review.repo.edit("poem", { one: "two" });
    await Bun.write(join(library, "f"), "edited\n");
    await Bun.write(join(library, "new"), "new\n");
    expect(await warnings()).toEqual([
      "library: edits inside a submodule are not part of the suggestion (f, new)",
    ]);
  });

  test("D17: another commit of it, taken with git add", async () => {
    const library = await withSubmodule();
    const before = await run(library, "git", "rev-parse", "HEAD");
    review.repo.edit("poem", { one: "two" });
    await Bun.write(join(library, "f"), "edited\n");
    await run(library, "git", "commit", "--quiet", "--all", "--message=bump");
    await run(review.repo.dir, "git", "add", "library");
    const after = await run(library, "git", "rev-parse", "HEAD");
    expect(await warnings()).toEqual([
      `library: the submodule is at commit ${after.slice(0, 12)}, but jj does not take that: the suggestion keeps ${before.slice(0, 12)}`,
    ]);
  });

  test("D17: a repository inside the repository that is no submodule", async () => {
    review = await Review.of({ poem: "one\n" });
    review.repo.edit("poem", { one: "two" });
    await run(review.repo.dir, "git", "init", "--quiet", "inside");
    await Bun.write(join(review.repo.dir, "inside/a"), "a\n");
    expect(await warnings()).toEqual([
      "inside: a repository inside the repository; nothing in it is part of the suggestion",
    ]);
  });

  test("D17: nothing that the submodule configures is run", async () => {
    const library = await withSubmodule();
    const trace = join(review.repo.root, "ran");
    await Bun.write(join(library, ".gitattributes"), "* filter=evil\n");
    for (const [key, value] of [
      ["filter.evil.clean", `touch ${trace}; cat`],
      ["core.fsmonitor", `touch ${trace}`],
    ] as const)
      await run(library, "git", "config", key, value);
    review.repo.edit("poem", { one: "two" });
    await Bun.write(join(library, "f"), "edited\n");
    expect((await warnings())[0]).toContain("(.gitattributes, f)");
    expect(await Bun.file(trace).exists()).toBe(false);
  });
});
