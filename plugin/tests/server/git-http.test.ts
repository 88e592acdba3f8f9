import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Git, tokenEnvironment, write } from "./git.ts";
import { AgentRepository, Place, temporaryDirectory, until } from "./place.ts";
import { rawRequest } from "./raw.ts";

setDefaultTimeout(30_000);

/** A project of the server's, with a suggestion, and its hub. */
interface Project {
  repository: AgentRepository;
  /** The suggestion. */
  id: string;
  hubName: string;
  hub: string;
  url: string;
  /** The commit of the branch main. */
  first: string;
}

let at: Place;
let home: string;
let plain: Git;
let developer: Git;
let agent: Git;
/** For what only reads, and for pushes that are refused. */
let shared: Project;
/** Hubs that the desk was told of. */
const told: string[] = [];

/** A project, in the same server, for a test that pushes. */
async function openProject(name: string): Promise<Project> {
  const repository = await AgentRepository.add(at, name);
  const { id } = await repository.publish();
  const hubName = at.desk.get(id).hub.replace(/^\/git\/|\.git$/g, "");
  const hub = join(at.desk.hubRoot(), `${hubName}.git`);
  const first = await plain.run(hub, "rev-parse", "main");
  return { repository, id, hubName, hub, url: `${at.url}/git/${hubName}.git`, first };
}

beforeAll(async () => {
  at = await Place.open({ options: { sync: { push_branches: ["main", "topic/*"] } } });
  const follow = at.desk.hubChanged.bind(at.desk);
  at.desk.hubChanged = (name) => {
    told.push(name);
    return follow(name);
  };
  home = temporaryDirectory("git");
  plain = new Git(home);
  developer = new Git(home, tokenEnvironment(at.url, at.developer));
  agent = new Git(home, tokenEnvironment(at.url, at.agent));
  shared = await openProject("agent");
});
afterAll(() => at.stop());

async function clone(git: Git, name: string, { url }: Project = shared): Promise<string> {
  await git.run(home, "clone", "-q", url, name);
  return join(home, name);
}

async function commit(
  git: Git,
  checkout: string,
  files: Record<string, string | Uint8Array>,
): Promise<string> {
  write(checkout, files);
  await git.run(checkout, "add", ".");
  await git.run(checkout, "commit", "-qm", "change");
  return git.run(checkout, "rev-parse", "HEAD");
}

const refs = ({ hub }: Project = shared) =>
  plain.run(hub, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags");

describe("fetching", () => {
  test("either token clones; the token is in no configuration file", async () => {
    for (const [git, name] of [
      [developer, "dev-clone"],
      [agent, "agent-clone"],
    ] as const) {
      const checkout = await clone(git, name);
      expect(await git.run(checkout, "rev-parse", "HEAD")).toBe(shared.first);
      const config = await Bun.file(join(checkout, ".git/config")).text();
      expect(config).not.toContain(at.developer);
      expect(config).not.toContain(at.agent);
    }
  });

  test("a commit is fetched by its id though no ref names it", async () => {
    const tree = await plain.run(shared.hub, "rev-parse", "main^{tree}");
    const loose = await plain.run(shared.hub, "commit-tree", tree, "-m", "pinned");
    const checkout = await clone(developer, "by-id");
    await developer.run(checkout, "fetch", "-q", "origin", loose);
    expect(await developer.run(checkout, "rev-parse", "FETCH_HEAD")).toBe(loose);
  });

  test("a credential helper's Basic password is the token", async () => {
    const helper = join(home, "helper.sh");
    writeFileSync(
      helper,
      `#!/bin/sh\n[ "$1" = get ] && printf 'username=any\\npassword=%s\\n' "$(cat '${at.stateDir}/token')"\n`,
    );
    chmodSync(helper, 0o700);
    const git = new Git(home, {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "credential.helper",
      GIT_CONFIG_VALUE_0: helper,
    });
    expect(await git.run(await clone(git, "by-helper"), "rev-parse", "HEAD")).toBe(shared.first);
  });

  test("without a token, with a wrong one, or with a token in the URL, nothing is served", async () => {
    const wrong = new Git(home, tokenEnvironment(at.url, "wrong"));
    for (const git of [plain, wrong]) expect((await git.try(home, "ls-remote", shared.url)).code).not.toBe(0);
    const answer = await at.ask(`/git/${shared.hubName}.git/info/refs?service=git-upload-pack`, {
      token: null,
    });
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([
      401,
      'Basic realm="suggestion-manager", charset="UTF-8"',
    ]);
    const inUrl = `/git/${shared.hubName}.git/info/refs?service=git-upload-pack&token=${at.developer}`;
    expect((await at.ask(inUrl, { token: null })).status).toBe(401);
    expect((await at.ask(inUrl)).status).toBe(400);
  });
});

describe("a body that git cannot read", () => {
  test.each(["git-upload-pack", "git-receive-pack"])("is the caller's fault: %s", async (action) => {
    for (const body of [undefined, "", "x", "hello, git", "00"]) {
      const answer = await at.ask(`/git/${shared.hubName}.git/${action}`, { method: "POST", body });
      expect([body, answer.status]).toEqual([body, 400]);
      expect(JSON.stringify(answer)).toContain("pkt-lines");
    }
    expect(await developer.run(home, "ls-remote", shared.url)).toContain("refs/heads/main");
  });
});

describe("pushing", () => {
  test("the developer's push to a pushable branch arrives, and the desk hears of it", async () => {
    const project = await openProject("pushed");
    const checkout = await clone(developer, "push-ok", project);
    const id = await commit(developer, checkout, { "c.txt": "three\n" });
    const before = told.length;
    await developer.run(checkout, "push", "-q", "origin", "main", "HEAD:refs/heads/topic/one");
    expect(await refs(project)).toBe(`refs/heads/main ${id}\nrefs/heads/topic/one ${id}`);
    await until(() => told.length > before, "hubChanged");
    expect(told.at(-1)).toBe(project.hubName);
    await until(() => at.desk.get(project.id).base_moved, "base_moved");
    expect(at.journal().at(-1)).toContain('"type":"suggestion.base_moved"');
    // Its repository is left alone until the agent is at a quiet moment, which outside opencode is its own call.
    const known = () =>
      project.repository.jj("log", "--no-graph", "-r", "remote_bookmarks()", "-T", "commit_id ++ '\\n'");
    expect(known()).not.toContain(id);
    const body = { project: project.repository.dir };
    expect((await at.ask("/settle", { body, token: at.agent })).body.settled).toBe(true);
    expect(known()).toContain(id);
  });

  test("a large pack, chunked, goes through in both directions without filling memory", async () => {
    await plain.run(home, "init", "-q", "--bare", "-b", "main", join(at.desk.hubRoot(), "large.git"));
    const largeUrl = `${at.url}/git/large.git`;
    const { pushableRefs } = at.desk;
    // A hub of no project's, so that the other tests do not clone the large file.
    at.desk.pushableRefs = () => ["refs/heads/main"];
    await developer.run(home, "clone", "-q", largeUrl, "push-large");
    const checkout = join(home, "push-large");
    await plain.run(home, "init", "-q", checkout);
    await Bun.spawn(["sh", "-c", "head -c 100000000 /dev/urandom > large.bin"], { cwd: checkout }).exited;
    await developer.run(checkout, "add", ".");
    await developer.run(checkout, "-c", "core.compression=0", "commit", "-qm", "large");
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 10);
    await developer.run(checkout, "push", "-q", "origin", "HEAD:refs/heads/main");
    await developer.run(home, "clone", "-q", largeUrl, "large-again");
    clearInterval(watch);
    at.desk.pushableRefs = pushableRefs;
    const id = await developer.run(checkout, "rev-parse", "HEAD");
    expect(await developer.run(join(home, "large-again"), "rev-parse", "HEAD")).toBe(id);
    expect((most - before) / 1e6).toBeLessThan(80);
  }, 90_000);

  test("a push of the agent's is refused", async () => {
    const checkout = await clone(agent, "agent-push");
    await commit(agent, checkout, { "evil.txt": "x\n" });
    const before = await refs();
    const pushed = await agent.try(checkout, "push", "origin", "main");
    expect(pushed.code).not.toBe(0);
    expect(pushed.err).toContain("403");
    expect(await refs()).toBe(before);
  });

  test("nothing is pushed into a hub that is no project's", async () => {
    await plain.run(home, "init", "-q", "--bare", "-b", "main", join(at.desk.hubRoot(), "nobodys.git"));
    const checkout = await clone(developer, "push-nobodys");
    const pushed = await developer.try(checkout, "push", "-q", `${at.url}/git/nobodys.git`, "HEAD:main");
    expect(pushed.code).not.toBe(0);
    expect(pushed.err).toContain("refs/heads/main is not a branch that may be pushed to here");
    expect(await plain.run(join(at.desk.hubRoot(), "nobodys.git"), "for-each-ref")).toBe("");
  });

  test("a forbidden ref, a look-alike, a delete, a rewind and a mixed push change nothing", async () => {
    const project = await openProject("forbidden");
    const checkout = await clone(developer, "push-forbidden", project);
    await commit(developer, checkout, { "c.txt": "three\n" });
    await developer.run(checkout, "push", "-q", "origin", "main", "HEAD:refs/heads/topic/one");
    await commit(developer, checkout, { "d.txt": "four\n" });
    const before = await refs(project);
    const pushes = [
      ["HEAD:refs/heads/other"],
      ["HEAD:refs/heads/main2"],
      ["HEAD:refs/heads/topic"],
      ["HEAD:refs/suggestions/pin"],
      ["HEAD:refs/tags/v1"],
      ["HEAD:refs/heads/x/refs/heads/main"],
      [":refs/heads/topic/one"],
      ["--force", `${project.first}:refs/heads/main`],
      ["HEAD:refs/heads/main", "HEAD:refs/heads/other"],
      ["HEAD:refs/heads/topic/new", ":refs/heads/topic/one"],
    ];
    for (const refspec of pushes) {
      const { code } = await developer.try(checkout, "push", "-q", "origin", ...refspec);
      expect([refspec, code === 0]).toEqual([refspec, false]);
      expect(await refs(project)).toBe(before);
    }
    const { err } = await developer.try(checkout, "push", "origin", "HEAD:refs/heads/other");
    expect(err).toContain("refs/heads/other is not a branch that may be pushed to here");
  }, 60_000);

  test("hooks and settings that somebody left in the repository do not run", async () => {
    const project = await openProject("hooks");
    const { hub } = project;
    const marker = join(home, "hook-ran");
    for (const name of ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"]) {
      const hook = join(hub, "hooks", name);
      mkdirSync(join(hub, "hooks"), { recursive: true });
      writeFileSync(hook, `#!/bin/sh\ntouch '${marker}'\n`);
      chmodSync(hook, 0o755);
    }
    await plain.run(hub, "config", "core.hooksPath", join(hub, "hooks"));
    await plain.run(hub, "config", "http.receivepack", "true");
    const checkout = await clone(developer, "push-hooks", project);
    await commit(developer, checkout, { "e.txt": "five\n" });
    await developer.run(checkout, "push", "-q", "origin", "main");
    expect((await agent.try(checkout, "push", "-q", "origin", "HEAD:refs/heads/topic/agent")).code).not.toBe(
      0,
    );
    expect((await developer.try(checkout, "push", "-q", "origin", "HEAD:refs/heads/other")).code).not.toBe(0);
    expect(existsSync(marker)).toBe(false);
  });

  test("a push cut off in the middle leaves refs as they were and no process behind", async () => {
    const before = await refs();
    const head = [
      `POST /git/${shared.hubName}.git/git-receive-pack HTTP/1.1`,
      `Host: 127.0.0.1:${at.port}`,
      `Authorization: Bearer ${at.developer}`,
      "Content-Type: application/x-git-receive-pack-request",
      "Content-Length: 100000",
      "",
      "00a0",
    ].join("\r\n");
    for (let i = 0; i < 20; i++) await rawRequest(at.port, head, { cutAfterMs: 20 });
    await until(() => children("http-backend") === 0, "git processes gone");
    expect(await refs()).toBe(before);
    // None of the places for transfers is still taken.
    expect(await developer.run(home, "ls-remote", shared.url)).toContain("refs/heads/main");
  });
});

describe("names", () => {
  test("nothing outside the hubs is reachable", async () => {
    mkdirSync(join(at.stateDir, "outside.git"));
    await plain.run(home, "init", "-q", "--bare", join(at.stateDir, "outside.git"));
    symlinkSync(join(at.stateDir, "outside.git"), join(at.desk.hubRoot(), "link.git"));
    const query = "/info/refs?service=git-upload-pack";
    const names = [
      "/git/..%2foutside.git",
      "/git/../outside.git",
      "/git/%2e%2e/outside.git",
      `/git/${shared.hubName}.git/../../outside.git`,
      `/git/${shared.hubName}.git%00.git`,
      "/git/.git",
      "/git/..git",
      "/git/link.git",
      "/git//etc.git",
      "/git/project",
      `/git/${"a".repeat(4000)}.git`,
    ];
    for (const name of names) {
      const line = `GET ${name}${query} HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\nConnection: close\r\n\r\n`;
      const answer = await rawRequest(at.port, line);
      expect([name, answer.slice(0, 12)]).toEqual([name, "HTTP/1.1 404"]);
    }
  });

  test("the dumb protocol and other files of a repository are not served", async () => {
    for (const path of [
      "HEAD",
      "config",
      "objects/info/packs",
      "info/refs",
      "info/refs?service=git-upload-archive",
    ]) {
      const answer = await at.ask(`/git/${shared.hubName}.git/${path}`);
      expect([path, answer.status]).toEqual([path, path.startsWith("info/refs") ? 403 : 404]);
    }
  });
});

/** Processes of this user whose command line holds a word. */
function children(word: string): number {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const parent = /PPid:\s*(\d+)/.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1];
      const line = readFileSync(`/proc/${name}/cmdline`, "latin1");
      return parent === String(process.pid) && line.includes(word);
    } catch {
      return false;
    }
  }).length;
}
