// @ts-check
// The real tools in this repository's own private folder (fetched now if they are not there), and a copy of them for another user.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ensureDependencies } from "../lib/dependencies.mjs";
import { copyTools } from "./copy.mjs";
import { provision } from "./provision.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "provision-real-"));
const quietly = {
  ...process.env,
  HOME: folder,
  XDG_CONFIG_HOME: "",
  GIT_CONFIG_NOSYSTEM: "1",
  JJ_CONFIG: "",
  LC_ALL: "C.UTF-8",
};
after(() => rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string} bin
 * @param {string[]} command
 * @param {string} [cwd]
 */
function call(bin, [program, ...args], cwd = folder) {
  const answer = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...quietly, PATH: `${bin}:/usr/bin:/bin` },
    timeout: 60_000,
  });
  assert.equal(answer.status, 0, `${program} ${args.join(" ")}: ${answer.stderr || answer.error}`);
  return `${answer.stdout}${answer.stderr}`;
}

describe("the tools of this repository", { timeout: 15 * 60_000 }, () => {
  /** @type {import("./types.mjs").Provisioned} */
  let tools;
  before(async () => {
    tools = await provision({ root, tools: ["all"] });
  });

  test("all run by nothing but PATH", () => {
    const cage = process.platform === "linux" ? ["bwrap"] : [];
    const names = ["bun", "opencode", "jj", "git", "nvim", "rg", ...cage, "tmux", "luacheck", "stylua"];
    assert.deepEqual(Object.keys(tools.found), names);
    assert.equal(tools.env.PATH.split(":")[0], tools.bin);
    for (const name of names)
      assert.match(call(tools.bin, [name, name === "tmux" ? "-V" : "--version"]), /\d+\.\d+/);
  });

  test("a second run is quick and starts nothing", async () => {
    const started = performance.now();
    assert.deepEqual(await provision({ root, tools: ["all"], log: (line) => assert.fail(line) }), tools);
    assert.ok(performance.now() - started < 150);
    const command = spawnSync(
      process.execPath,
      [join(root, "scripts/provision.mjs"), "--group", "all", "--json"],
      { encoding: "utf8" },
    );
    assert.deepEqual(JSON.parse(command.stdout).found, tools.found);
  });

  test("a wrong word on the command line changes nothing and says what is right", () => {
    for (const args of [["--group", "vim"], ["--grup"]]) {
      const command = spawnSync(process.execPath, [join(root, "scripts/provision.mjs"), ...args], {
        encoding: "utf8",
      });
      assert.notEqual(command.status, 0);
      assert.match(command.stderr, /^provision: .*(runtime|--group)/s);
    }
  });

  test("git and jj work together over HTTP, and nvim knows itself", async () => {
    await overHttp(tools.bin);
    const said = call(tools.bin, [
      "nvim",
      "--clean",
      "--headless",
      "+lua print(vim.v.progpath, vim.fn.filereadable(vim.env.VIMRUNTIME .. '/filetype.lua'))",
      "+q",
    ]);
    assert.match(said, /nvim 1/);
    const parser =
      "+lua print(vim.treesitter.get_string_parser('local a = 1', 'lua'):parse()[1]:root():type())";
    assert.match(call(tools.bin, ["nvim", "--clean", "--headless", parser, "+q"]), /chunk/);
  });

  test("a copy for another user refers to nothing outside itself, and is made once", async () => {
    const to = join(folder, "home/tools");
    const copy = await copyTools({ from: root, to });
    const cage = process.platform === "linux" ? ["bwrap"] : [];
    assert.deepEqual(Object.keys(copy.found), ["bun", "opencode", "jj", "git", "rg", ...cage]);
    assert.equal(copy.bin, join(to, "bin"));
    const grep = spawnSync("grep", ["-rlF", join(root, ".tools"), to], { encoding: "utf8" });
    assert.equal(grep.stdout, "");
    await overHttp(copy.bin);
    const started = performance.now();
    assert.deepEqual(await copyTools({ from: root, to, log: (line) => assert.fail(line) }), copy);
    assert.ok(performance.now() - started < 150);
    rmSync(join(to, "bin/jj"));
    await copyTools({ from: root, to });
    assert.match(call(copy.bin, ["jj", "--version"]), /^jj /);
    assert.deepEqual(readdirSync(join(folder, "home")), ["tools"]);
  });

  test("a copy does not overwrite what is somebody else's", async () => {
    const to = join(folder, "taken");
    call("", ["mkdir", to]);
    writeFileSync(join(to, "letter"), "mine");
    await assert.rejects(copyTools({ from: root, to }), { code: "permission" });
    assert.deepEqual(readdirSync(to), ["letter"]);
  });
});

/** @param {string} bin clones and pushes with git and jj through git's own HTTP helpers, which load libcurl */
async function overHttp(bin) {
  const work = mkdtempSync(join(folder, "http-"));
  const settings = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"];
  call(bin, ["git", "init", "-q", "-b", "main", "source"], work);
  assert.ok(existsSync(join(work, "source/.git/info/exclude")), "templates are found");
  call(bin, ["git", ...settings, "commit", "-q", "--allow-empty", "-m", "one"], join(work, "source"));
  call(bin, ["git", "clone", "-q", "--bare", "source", "hub.git"], work);
  call(bin, ["git", "config", "http.receivepack", "true"], join(work, "hub.git"));
  const server = spawn(
    join(bin, "bun"),
    [fileURLToPath(new URL("fixtures/git-http.ts", import.meta.url)), work],
    {
      env: { ...quietly, PATH: `${bin}:/usr/bin:/bin` },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  try {
    const [port] = await once(server.stdout, "data");
    const url = `http://127.0.0.1:${String(port).trim()}/hub.git`;
    call(bin, ["git", "clone", "-q", url, "by-git"], work);
    call(bin, ["git", ...settings, "commit", "-q", "--allow-empty", "-m", "two"], join(work, "by-git"));
    call(bin, ["git", "push", "-q"], join(work, "by-git"));
    call(
      bin,
      [
        "jj",
        "--config",
        "user.name=A",
        "--config",
        "user.email=a@example.invalid",
        "git",
        "clone",
        url,
        "by-jj",
      ],
      work,
    );
    const log = call(bin, ["jj", "log", "--no-graph", "-r", "::@", "-T", "description"], join(work, "by-jj"));
    assert.match(log, /two\n.*one/s);
  } finally {
    server.kill();
    await once(server, "exit");
  }
}

describe("the npm dependencies", { timeout: 5 * 60_000 }, () => {
  test("are installed once, again after a change, and again after an interrupted run", async () => {
    const project = mkdtempSync(join(folder, "project-"));
    const install = () => ensureDependencies({ root: project });
    writeFileSync(
      join(project, "package.json"),
      '{"name": "trial", "version": "1.0.0", "workspaces": ["part"]}',
    );
    call("", ["mkdir", "part"], project);
    writeFileSync(join(project, "part/package.json"), '{"name": "part", "version": "1.0.0"}');
    assert.deepEqual(await install(), { installed: true });
    assert.deepEqual(await install(), { installed: false });
    assert.ok(existsSync(join(project, "package-lock.json")));
    writeFileSync(join(project, "part/package.json"), '{"name": "part", "version": "1.0.1"}');
    rmSync(join(project, "package-lock.json"));
    assert.deepEqual(await install(), { installed: true });
    rmSync(join(project, "node_modules/.stamp")); // npm ci removes it with everything else before it starts
    assert.deepEqual(await install(), { installed: true });
    assert.match(readFileSync(join(project, "node_modules/.stamp"), "utf8"), /^[0-9a-f]{64}$/);
  });

  test("that do not fit their lock are refused with what to do", async () => {
    const project = mkdtempSync(join(folder, "project-"));
    const install = () => ensureDependencies({ root: project });
    const manifest = join(project, "package.json");
    writeFileSync(manifest, '{"name": "trial", "version": "1.0.0"}');
    await install();
    assert.ok(existsSync(join(project, "package-lock.json")));
    writeFileSync(manifest, '{"name": "trial", "version": "1.0.0", "dependencies": {"zod": "4.1.8"}}');
    await assert.rejects(install(), /npm install/);
  });
});
