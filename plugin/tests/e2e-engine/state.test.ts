/** State that is damaged, gone, full or at another place, at a server of its own process, over HTTP. */
import { Database } from "bun:sqlite";
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePort } from "../../../scripts/start/ports.ts";
import { temporaryDirectory } from "../support/place.ts";
import { numbered, type Repo, repoWith } from "../support/repo.ts";
import { Served } from "../support/served.ts";

setDefaultTimeout(60_000);

const running: Served[] = [];
afterEach(async () => {
  for (const served of running.splice(0)) await served.kill();
});
async function serve(...args: Parameters<typeof Served.start>): Promise<Served> {
  const served = await Served.start(...args);
  running.push(served);
  return served;
}

async function published(served: Served, agent: Repo, name = "file0"): Promise<string> {
  agent.edit(name, { "line 3": "line three", "line 30": "line thirty" });
  const answer = await served.post("/suggestions", { description: "Edit", project: agent.dir }, "agent");
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return answer.body.suggestion_id;
}

const someRepo = () => repoWith({ file0: numbered(40) });
const hubOf = (served: Served): string => {
  const [name = ""] = readdirSync(join(served.seenState, "git"));
  return join(served.seenState, "git", name);
};
const fileHash = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("E2: damaged state", () => {
  test("E2: a ledger cut to half is left untouched; /health says what it is and what to do", async () => {
    const agent = await someRepo();
    const first = await serve(agent);
    const id = await published(first, agent);
    await first.post("/feedback/batch", { suggestion_id: id, scope: { action: "accept" } });
    await first.kill("SIGTERM");
    const path = join(first.state, "ledger.sqlite");
    new Database(path).run("PRAGMA wal_checkpoint(TRUNCATE)");
    const size = readFileSync(path).length;
    truncateSync(path, Math.floor(size / 2 / 4096) * 4096);
    const before = fileHash(path);
    const port = await freePort();
    const token = readFileSync(join(first.state, "token"), "utf8").trim();
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "../../src/serve.ts"),
        ...["--project", agent.dir, "--port", String(port), "--state", first.state],
      ],
      { env: agent.env, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
    );
    try {
      const ask = (where: string) =>
        fetch(`http://127.0.0.1:${port}${where}`, { headers: { Authorization: `Bearer ${token}` } });
      let health: Response | null = null;
      while (health === null) health = await ask("/health").catch(() => Bun.sleep(20).then(() => null));
      const said = (await health.json()) as { healthy: boolean; problems: string[] };
      expect(said.healthy).toBe(false);
      expect(said.problems.join()).toContain(path);
      expect(said.problems.join()).toMatch(/damaged.*left untouched.*Put back a copy/);
      const list = await ask("/suggestions");
      expect(list.status).toBe(503);
      expect(((await list.json()) as { error: { code: string } }).error.code).toBe("state_damaged");
      const stranger = await fetch(`http://127.0.0.1:${port}/health`);
      expect(await stranger.json()).not.toHaveProperty("problems");
    } finally {
      child.kill("SIGTERM");
      await child.exited;
    }
    expect(fileHash(path)).toBe(before);
  });

  test("E2: a state directory that is removed is noticed before anything is answered with success", async () => {
    const agent = await someRepo();
    const served = await serve(agent);
    const id = await published(served, agent);
    const [hunk] = await served.hunks(id);
    const kept = temporaryDirectory("kept");
    renameSync(served.state, join(kept, "state"));
    served.seenState = join(kept, "state");
    const decision = { suggestion_id: id, hunk_id: hunk.id, action: "accept" };
    const refused = await served.post("/feedback", decision);
    // Known as before: a 401 would send the developer looking at tokens.
    expect(refused.status).toBe(503);
    expect(refused.body.error.code).toBe("state_damaged");
    const health = await served.get("/health");
    expect(health.body.healthy).toBe(false);
    expect(health.body.problems.join()).toMatch(/ledger .* was removed.*put the state directory back/);
    renameSync(join(kept, "state"), served.state);
    served.seenState = served.state;
    expect((await served.post("/feedback", decision)).status).toBe(200);
    let healthy = false;
    while (!healthy) healthy = (await served.get("/health")).body.healthy;
  });
});

describe("E6: a hub that is lost", () => {
  test("E6: is made anew from the agent's repository, and that is said", async () => {
    const agent = await someRepo();
    const first = await serve(agent);
    const id = await published(first, agent);
    const hunks = await first.hunks(id);
    rmSync(hubOf(first), { recursive: true });
    const lost = await first.get("/health");
    let problems: string[] = lost.body.problems ?? [];
    while (problems.length === 0) problems = (await first.get("/health")).body.problems ?? [];
    expect(problems.join()).toMatch(/hub .* is gone.*restart the server/);
    await first.kill("SIGTERM");
    const again = await serve(agent);
    expect((await again.get("/health")).body.healthy).toBe(true);
    const events = (await again.get("/events?since=0")).body.events as { type: string; message?: string }[];
    expect(events.some(({ message }) => /pinned revision 1 .* again/.test(message ?? ""))).toBe(true);
    expect(await again.hunks(id)).toEqual(hunks);
    await again.post("/feedback/batch", { suggestion_id: id, scope: { action: "accept" } });
    const done = await again.post("/complete", { suggestion_id: id, action: "finalize" });
    expect(done.status).toBe(200);
  });

  test("E2, E6: one object that is missing from it comes back, or is named where it cannot", async () => {
    const agent = await someRepo();
    const first = await serve(agent);
    const id = await published(first, agent);
    await first.kill("SIGTERM");
    const hub = hubOf(first);
    const git = (...args: string[]) =>
      Bun.spawnSync(["git", "--git-dir", hub, ...args])
        .stdout.toString()
        .trim();
    const commit = git("rev-parse", `refs/review/${id}/1`);
    const blob = git("rev-parse", `${commit}:file0`);
    // Loose, so that one can go.
    const packs = join(hub, "objects", "pack");
    for (const name of readdirSync(packs).filter((file) => file.endsWith(".pack"))) {
      const pack = readFileSync(join(packs, name));
      for (const ext of ["pack", "idx", "rev"])
        rmSync(join(packs, name.replace(/pack$/, ext)), { force: true });
      Bun.spawnSync(["git", "--git-dir", hub, "unpack-objects", "-q"], { stdin: pack });
    }
    rmSync(join(hub, "objects", blob.slice(0, 2), blob.slice(2)));
    expect(Bun.spawnSync(["git", "--git-dir", hub, "cat-file", "-e", blob]).exitCode).not.toBe(0);
    const again = await serve(agent);
    expect(Bun.spawnSync(["git", "--git-dir", hub, "cat-file", "-e", blob]).exitCode).toBe(0);
    await again.post("/feedback/batch", { suggestion_id: id, scope: { action: "accept" } });
    expect((await again.post("/complete", { suggestion_id: id, action: "finalize" })).status).toBe(200);
  });
});

describe("E4: several projects", () => {
  test("E4: one that is gone harms no other, can be discarded, and is served again at its new place", async () => {
    const [one, two] = [await someRepo(), await someRepo()];
    const state = temporaryDirectory("state");
    const first = await serve(one, state, { projects: [one.dir, two.dir] });
    const inOne = await published(first, one);
    const inTwo = await published(first, two);
    await first.kill("SIGTERM");
    const moved = `${two.dir}-moved`;
    renameSync(two.dir, moved);
    const second = await serve(one, state, { projects: [one.dir, two.dir] });
    const health = await second.get("/health");
    expect(health.body.healthy).toBe(false);
    expect(health.body.problems.join()).toContain(two.dir);
    await second.post("/feedback/batch", { suggestion_id: inOne, scope: { action: "accept" } });
    expect((await second.post("/complete", { suggestion_id: inOne, action: "finalize" })).status).toBe(200);
    await second.post("/feedback/batch", { suggestion_id: inTwo, scope: { action: "accept" } });
    const refused = await second.post("/complete", { suggestion_id: inTwo, action: "finalize" });
    expect(refused.body.error.message).toContain("--moved-from");
    await second.kill("SIGTERM");
    const third = await serve(one, state, { projects: [moved], more: ["--moved-from", two.dir] });
    expect((await third.get("/health")).body.healthy).toBe(true);
    const done = await third.post("/complete", { suggestion_id: inTwo, action: "finalize" });
    expect(done.status).toBe(200);
    await third.kill("SIGTERM");
    // Without being told again: the place is in the ledger.
    const fourth = await serve(one, state, { projects: [moved] });
    expect((await fourth.get("/suggestions?status=finalized")).body.total).toBe(2);
  });

  test("E4: a suggestion of a project that is gone for good can be discarded", async () => {
    const [one, two] = [await someRepo(), await someRepo()];
    const state = temporaryDirectory("state");
    const first = await serve(one, state, { projects: [one.dir, two.dir] });
    const id = await published(first, two);
    await first.kill("SIGTERM");
    rmSync(two.dir, { recursive: true });
    const second = await serve(one, state, { projects: [one.dir, two.dir] });
    const done = await second.post("/complete", { suggestion_id: id, action: "discard" });
    expect(done.body).toMatchObject({ success: true, action: "discarded" });
    expect((await second.get("/suggestions")).body.total).toBe(0);
  });

  test("E4: another repository is not taken for the moved one, nor one that is still there", async () => {
    const [one, two] = [await someRepo(), await repoWith({ other: "other\n" })];
    const state = temporaryDirectory("state");
    const first = await serve(one, state);
    await published(first, one);
    await first.kill("SIGTERM");
    const tries: [string, RegExp][] = [
      [one.dir, /still a jj repository/],
      ["/nowhere/at/all", /no suggestion is of/],
    ];
    for (const [from, why] of tries) {
      const start = Served.start(one, state, { projects: [two.dir], more: ["--moved-from", from] });
      expect(start).rejects.toThrow(why);
      await start.catch(() => undefined);
    }
    renameSync(one.dir, `${one.dir}-away`);
    const other = Served.start(two, state, { projects: [two.dir], more: ["--moved-from", one.dir] });
    expect(other).rejects.toThrow(/another repository/);
    await other.catch(() => undefined);
  });
});

describe("E5: a full disk", () => {
  test("E5: is said with its directory, loses nothing confirmed and leaves nothing in the way", async () => {
    const agent = await someRepo();
    const state = temporaryDirectory("full");
    // A small disk of the server's own, mounted where nobody else sees it: no root is needed for that.
    const mounted = `mount -t tmpfs -o size=3m none ${state} && exec "$@"`;
    const wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"];
    const served = await Served.start(agent, state, { wrapper }).then((started) => started);
    running.push(served);
    served.seenState = `/proc/${served.process.pid}/root${state}`;
    const id = await published(served, agent);
    const hunks = await served.hunks(id);
    const filler = join(served.seenState, "filler");
    const fill = () => Bun.spawnSync(["sh", "-c", `cat /dev/zero >> "${filler}"; sync "${filler}"`]);
    fill();
    // What fits into blocks that the log has already still goes through; then it is refused, and nothing changes.
    let confirmed = 0;
    let refused: Awaited<ReturnType<typeof served.post>> | null = null;
    for (let i = 0; i < 4000 && refused === null; i++) {
      const action = i % 2 === 0 ? "accept" : "reject";
      const answer = await served.post("/feedback", { suggestion_id: id, hunk_id: hunks[0].id, action });
      if (answer.status === 200) confirmed += 1;
      else refused = answer;
    }
    expect(refused?.status).toBe(507);
    expect(refused?.body.error.code).toBe("storage_full");
    expect(refused?.body.error.message).toContain(state);
    const health = await served.get("/health");
    expect(health.body.healthy).toBe(false);
    expect(health.body.problems.join()).toContain(`No space left in ${state}`);
    rmSync(filler);
    const decided = await served.get(`/suggestions/${id}`);
    const expected = confirmed === 0 ? "pending" : confirmed % 2 === 1 ? "accepted" : "rejected";
    expect(decided.body.hunks[0].state).toBe(expected);
    // Now git meets the full disk.
    await served.post("/feedback/batch", {
      suggestion_id: id,
      scope: { action: "accept", include_decided: true },
    });
    const accepted = await served.post("/feedback", {
      suggestion_id: id,
      hunk_id: hunks[0].id,
      action: "accept",
    });
    expect(accepted.status).toBe(200);
    fill();
    const finalize = { suggestion_id: id, action: "finalize" };
    const full = await served.post("/complete", finalize);
    expect(full.status).toBe(507);
    expect(full.body.error.message).toContain(state);
    const hub = hubOf(served);
    const left = [...readdirSync(hub), ...readdirSync(join(hub, "objects", "pack"))];
    expect(left.filter((name) => /^(fast_import_crash_|tmp_)/.test(name))).toEqual([]);
    rmSync(filler);
    expect((await served.post("/complete", finalize)).status).toBe(200);
    let healthy = false;
    while (!healthy) healthy = (await served.get("/health")).body.healthy;
    expect(existsSync(filler)).toBe(false);
    writeFileSync(join(served.seenState, "room"), "there is room again");
  });
});
