import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { addTokenHash, ensureTokens, openTokens, rotate, sha256hex } from "../../src/server/tokens/tokens.ts";
import { connect } from "./client.ts";
import { Place, temporaryDirectory } from "./place.ts";

setDefaultTimeout(30_000);

const ROTATE = join(import.meta.dir, "../../src/server/tokens/rotate-token.ts");
const read = (path: string) => readFileSync(path, "utf8").trim();
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("token files", () => {
  let dir: string;
  beforeEach(() => {
    dir = temporaryDirectory("tokens");
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("the first start makes both tokens, readable by this user only, and stores hashes only", () => {
    const paths = ensureTokens(dir);
    expect(paths.created).toBe(true);
    for (const path of [paths.hashes, paths.developer, paths.agent]) expect(mode(path)).toBe("600");
    const stored = read(paths.hashes);
    for (const path of [paths.developer, paths.agent]) {
      expect(read(path)).toMatch(/^sm[da]_[\w-]{43}$/);
      expect(stored).not.toContain(read(path));
      expect(stored).toContain(sha256hex(read(path)));
    }
    expect(ensureTokens(dir)).toEqual({ ...paths, created: false });
    expect(readdirSync(dir).sort()).toEqual(["agent-token", "token", "tokens.json"]);
  });

  test("five processes starting at once agree on one pair", async () => {
    const script = `import { ensureTokens } from "${join(import.meta.dir, "../../src/server/tokens/tokens.ts")}"; ensureTokens(process.argv[1]);`;
    const starts = Array.from({ length: 5 }, () => Bun.spawn([process.execPath, "-e", script, dir]).exited);
    expect(await Promise.all(starts)).toEqual([0, 0, 0, 0, 0]);
    const tokens = openTokens(dir);
    expect(tokens.identify(read(join(dir, "token")))?.role).toBe("developer");
    expect(tokens.identify(read(join(dir, "agent-token")))?.role).toBe("agent");
  });

  test("a hash from elsewhere admits a token this user never sees", () => {
    ensureTokens(dir);
    const tokens = openTokens(dir);
    addTokenHash(dir, "developer", sha256hex("the developer's own"));
    expect(tokens.identify("the developer's own")).toEqual({
      role: "developer",
      sha256: sha256hex("the developer's own"),
    });
    expect(tokens.proofs("nonce-nonce", ["127.0.0.1:1"])).toHaveLength(2);
    expect(() => addTokenHash(dir, "developer", "nonsense")).toThrow("SHA-256");
  });

  test("rotation drops every token of the role and leaves the other", () => {
    const { developer, agent } = ensureTokens(dir);
    const before = [read(developer), read(agent)] as const;
    const tokens = openTokens(dir);
    expect(rotate(dir, "developer")).toBe(developer);
    expect(mode(developer)).toBe("600");
    expect(tokens.identify(before[0])).toBeNull();
    expect(tokens.identify(read(developer))?.role).toBe("developer");
    expect(tokens.identify(before[1])?.role).toBe("agent");
  });

  test("nothing, an empty token and a hash itself are nobody", () => {
    const { developer } = ensureTokens(dir);
    const tokens = openTokens(dir);
    for (const presented of [null, "", sha256hex(read(developer)), "undefined"]) {
      expect(tokens.identify(presented)).toBeNull();
    }
  });

  test("a damaged or missing list admits nobody, says so, and recovers", () => {
    const { hashes, developer } = ensureTokens(dir);
    const problems: unknown[] = [];
    const tokens = openTokens(dir, (error) => void problems.push(error));
    const good = read(hashes);
    writeFileSync(hashes, "{");
    expect(tokens.identify(read(developer))).toBeNull();
    expect(problems).toHaveLength(1);
    rmSync(hashes);
    expect(tokens.identify(read(developer))).toBeNull();
    writeFileSync(hashes, good);
    expect(tokens.identify(read(developer))?.role).toBe("developer");
  });

  test("a lock left by a killed process is taken over", () => {
    ensureTokens(dir);
    const lock = join(dir, "tokens.lock");
    writeFileSync(lock, "");
    const old = Date.now() / 1000 - 60;
    utimesSync(lock, old, old);
    rotate(dir, "agent");
    expect(existsSync(lock)).toBe(false);
  });

  test("wide permissions on the list are closed at the next change", () => {
    const { hashes } = ensureTokens(dir);
    chmodSync(hashes, 0o666);
    rotate(dir, "agent");
    expect(mode(hashes)).toBe("600");
  });
});

describe("rotation while the server runs", () => {
  test("by another process: old sockets close with 4001, old tokens stop, others stay", async () => {
    const at = await Place.open();
    const old = at.developer;
    const developer = await connect(at, old);
    const agent = await connect(at, at.agent);
    const stream = await fetch(`${at.url}/events`, {
      headers: { Authorization: `Bearer ${old}`, Accept: "text/event-stream" },
    });
    const command = Bun.spawn([process.execPath, ROTATE, "--state", at.stateDir], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await new Response(command.stdout).text()) + (await new Response(command.stderr).text());
    expect(await command.exited).toBe(0);
    const fresh = read(join(at.stateDir, "token"));
    expect(said).toContain(join(at.stateDir, "token"));
    expect(said).not.toContain(fresh);
    expect((await at.ask("/suggestions", { token: old })).status).toBe(401);
    expect((await at.ask("/suggestions", { token: fresh })).status).toBe(200);
    expect(await developer.closed).toMatchObject({ code: 4001 });
    await stream.text();
    expect((await agent.command({ type: "ping" })).success).toBe(true);
    agent.close();
    await at.stop();
  });

  test("the command refuses nonsense by name", async () => {
    for (const [option, value] of [
      ["--role", "root"],
      ["--sha256", "abc"],
    ] as const) {
      const command = Bun.spawn([process.execPath, ROTATE, option, value], { stderr: "pipe" });
      expect(await new Response(command.stderr).text()).toStartWith(`${option}: expected`);
      expect(await command.exited).toBe(2);
    }
  });

  test("health proofs follow", async () => {
    const at = await Place.open();
    const proof = async () => (await at.ask("/health?nonce=12345678", { token: null })).body.proofs;
    const before = await proof();
    rotate(at.stateDir, "developer");
    const after = await proof();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    await at.stop();
  });
});
