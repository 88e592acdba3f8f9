// @ts-check
// What provisioning promises, told by its parts; the real tools are tried in integration.test.mjs.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { privateConfiguration } from "./apt.mjs";
import { selectTools } from "./catalog.mjs";
import { enterSuite } from "./debian-route.mjs";
import { missingLibraries } from "./elf.mjs";
import { explainClientFailure, ProvisionError, redactAddresses } from "./errors.mjs";
import { bunPackages, machine, opencodePackages } from "./platform.mjs";
import { findOnPath, programsOnPath } from "./probe.mjs";
import { chooseArchive, parseDeb822Sources, parseIndexTargets, parseOneLineSources } from "./sources.mjs";
import { isIntact, readStamp, stampFiles, writeStamp } from "./stamp.mjs";
import { parseCandidates, unmetNeeds } from "./suites.mjs";
import { closedToOthers } from "./tree.mjs";
import { compareVersions, isAtLeast, parseVersion, upstreamVersion } from "./versions.mjs";

const folder = mkdtempSync(join(tmpdir(), "provision-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

describe("versions", () => {
  for (const [said, version] of [
    ["jj 0.46.0", "0.46.0"],
    ["jj 0.43.0-6f2a9d0e1c", "0.43.0"],
    ["git version 2.39.5 (Apple Git-154)", "2.39.5"],
    ["NVIM v0.12.0-dev-7+g0123abc\nBuild type: Release\nLuaJIT 2.1.17", "0.12.0"],
    ["1.3.14", "1.3.14"],
    ["tmux 3.3a", "3.3"],
    ["tmux next-3.6", "3.6"],
    ["Luacheck: 1.2.0\nLua: PUC-Rio Lua 5.1", "1.2.0"],
    ["ripgrep 15.2.0\n\nfeatures:+pcre2", "15.2.0"],
  ])
    test(`reads ${JSON.stringify(said)}`, () => assert.equal(parseVersion(said), version));

  test("an answer without a number is no version", () =>
    assert.equal(parseVersion("command not found"), undefined));
  test("takes the upstream part of Debian's", () => {
    assert.equal(upstreamVersion("1:2.53.0-1"), "2.53.0");
    assert.equal(upstreamVersion("0.12.4-1+b2"), "0.12.4");
    assert.equal(upstreamVersion("2.1.0+openresty20251030-1"), "2.1.0");
  });
  test("compares number by number", () => {
    assert.ok(compareVersions("0.9.0", "0.43.0") < 0);
    assert.equal(compareVersions("1.3", "1.3.0"), 0);
    assert.ok(isAtLeast("0.43.0", "0.43.0") && isAtLeast("3.3", "3.2"));
    assert.ok(!isAtLeast(undefined, "1") && !isAtLeast("2.41.9", "2.42.0"));
  });
});

describe("the machine's archive", () => {
  const deb822 = [
    "# a comment",
    "Types: deb",
    "URIs: http://mirror.example/debian",
    "# another, inside",
    "Suites: bookworm bookworm-updates",
    "Components: main",
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    "",
    "Types: deb",
    "URIs: http://mirror.example/debian-security",
    "Suites: bookworm-security",
    "Components: main",
    "",
  ].join("\n");

  test("is found in the deb822 format, security left aside", () => {
    assert.deepEqual(chooseArchive(parseDeb822Sources(deb822)), {
      uri: "http://mirror.example/debian",
      signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
    });
  });
  test("is found in the one-line format, with options, before a third party's", () => {
    const text = [
      "deb [arch=amd64] https://third.example/apt stable main",
      "# deb http://off.example/debian bookworm main",
      "deb-src http://source.example/debian bookworm main",
      "deb [ arch=amd64 signed-by=/k.gpg ] http://mirror.example/debian/ bookworm main contrib # here",
    ].join("\n");
    assert.deepEqual(chooseArchive(parseOneLineSources(text)), {
      uri: "http://mirror.example/debian/",
      signedBy: "/k.gpg",
    });
  });
  test("keeps an embedded key as it was written", () => {
    const [source] = parseDeb822Sources(
      "Types: deb\nURIs: u\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc",
    );
    assert.equal(source.signedBy, "\n -----BEGIN\n .\n abc");
  });
  test("is not an entry that is switched off, nor another distribution's", () => {
    assert.equal(
      chooseArchive(parseDeb822Sources(deb822.replace("Types: deb\n", "Enabled: no\nTypes: deb\n"))),
      undefined,
    );
    assert.equal(
      chooseArchive(parseOneLineSources("deb http://archive.example/ubuntu noble main universe")),
      undefined,
    );
  });
  test("is taken by its signed label from apt's own listing", () => {
    const listing =
      "http://s.example/debian-security|Debian-Security|main|/k\nhttp://m.example/debian/|Debian|main|$(SIGNED_BY)\n";
    assert.deepEqual(parseIndexTargets(listing), { uri: "http://m.example/debian/", signedBy: "" });
    assert.equal(parseIndexTargets(""), undefined);
  });
  test("keeps proxy and clock settings of the machine, and none of its hooks or folders", () => {
    const dump =
      'Acquire::http::Proxy "http://p.example";\nAcquire::Check-Date "false";\nDPkg::Post-Invoke:: "rm -f /x";\nDir::Cache "var/cache/apt";\n';
    const text = privateConfiguration("/private", dump);
    assert.match(text, /Acquire::http::Proxy/);
    assert.match(text, /Check-Date/);
    assert.doesNotMatch(text, /Post-Invoke|var\/cache\/apt/);
    assert.match(text, /Dir::Cache "\/private\/cache";/);
  });
});

describe("the suite", () => {
  const policy =
    "jujutsu:\n  Installed: (none)\n  Candidate: 0.46.0-2\ngit:\n  Candidate: 1:2.53.0-1\nneovim:\n  Candidate: (none)\n";
  test("offers what apt-cache says", () => {
    assert.deepEqual(
      [...parseCandidates(policy)],
      [
        ["jujutsu", "0.46.0-2"],
        ["git", "1:2.53.0-1"],
      ],
    );
  });
  const needs = [{ package: "jujutsu", minimum: "0.43.0" }];

  /** @param {Record<string, string | ProvisionError>} offers suite → the jujutsu it has, or why it cannot be read */
  async function choose(offers) {
    /** @type {string[]} */
    const read = [];
    const apt = {
      /** @param {unknown} _archive @param {string} suite */
      async update(_archive, suite) {
        read.push(suite);
        if (offers[suite] instanceof ProvisionError) throw offers[suite];
        return { ok: true, stdout: "", output: "", signal: null };
      },
      candidates: async () => new Map([["jujutsu", String(offers[read.at(-1) ?? ""])]]),
    };
    await enterSuite(apt, { uri: "u", signedBy: "" }, needs, () => {});
    return read;
  }

  test("is the first that can be read and has everything, new enough", async () => {
    assert.deepEqual(await choose({ testing: "0.46.0-2" }), ["testing"]);
    assert.deepEqual(await choose({ testing: "0.40.0-1", forky: "0.46.0-2" }), ["testing", "forky"]);
    const unknown = new ProvisionError("failed", "no such suite");
    assert.deepEqual(await choose({ testing: unknown, forky: "0.46.0-2" }), ["testing", "forky"]);
  });
  test("is not looked for any further without a network", async () => {
    const offline = new ProvisionError("network", "no network");
    await assert.rejects(choose({ testing: offline, forky: "0.46.0-2" }), offline);
  });
  test("that lacks something is named with what it lacks", async () => {
    await assert.rejects(
      choose({ testing: "0.40.0-1", forky: "0.41.0-1" }),
      /"testing".* jujutsu 0\.40\.0-1, older than 0\.43\.0/,
    );
    assert.deepEqual(unmetNeeds(needs, new Map()), ["no jujutsu"]);
  });
});

describe("platform packages", () => {
  const linux = { os: "linux", arch: "x64", musl: false, avx2: true };
  test("prefer the fast build and fall back to the baseline one", () => {
    assert.deepEqual(bunPackages(linux), ["@oven/bun-linux-x64", "@oven/bun-linux-x64-baseline"]);
    assert.deepEqual(bunPackages({ ...linux, musl: true, avx2: false }), [
      "@oven/bun-linux-x64-musl-baseline",
    ]);
    assert.deepEqual(opencodePackages({ ...linux, musl: true, avx2: false }), [
      "opencode-linux-x64-baseline-musl",
    ]);
    assert.deepEqual(bunPackages({ ...linux, os: "darwin", arch: "arm64" }), ["@oven/bun-darwin-aarch64"]);
  });
  test("are none where there is no build", () =>
    assert.deepEqual(bunPackages({ ...linux, arch: "ia32" }), []));
});

describe("the stamp", () => {
  const file = join(folder, "program");
  const entryOf = () => ({
    version: "1.0",
    source: /** @type {const} */ ("path"),
    path: file,
    recipe: "r",
    files: stampFiles([file]),
  });

  test("holds while nothing changes, and ends with another size, time, recipe or a lost file", () => {
    writeFileSync(file, "one");
    const entry = entryOf();
    assert.ok(isIntact(entry, "r"));
    assert.ok(!isIntact(entry, "another recipe"));
    writeFileSync(file, "three");
    assert.ok(!isIntact(entry, "r"));
    const again = entryOf();
    utimesSync(file, 1, 1);
    assert.ok(!isIntact(again, "r"));
    rmSync(file);
    assert.ok(!isIntact(again, "r"));
    assert.ok(!isIntact(undefined, "r"));
  });
  test("says nothing about another place, machine or damaged file", () => {
    writeFileSync(file, "one");
    const [here, there] = ["here", "there"].map((name) => join(folder, name));
    for (const place of [here, there]) mkdirSync(place);
    const stamp = { schema: 1, location: here, machine, tools: { bun: entryOf() } };
    writeStamp(here, stamp);
    assert.deepEqual(readStamp(here), stamp);
    writeStamp(there, stamp);
    assert.deepEqual(readStamp(there).tools, {});
    writeStamp(here, { ...stamp, machine: "plan9-mips" });
    assert.deepEqual(readStamp(here).tools, {});
    writeFileSync(join(here, "tools.json"), '{"schema": 1, "loc');
    assert.deepEqual(readStamp(here).tools, {});
  });
});

describe("a program on PATH", () => {
  /** @param {string} name @param {string} place @param {string} text */
  const program = (place, name, text) => {
    mkdirSync(join(folder, place), { recursive: true });
    writeFileSync(join(folder, place, name), text);
    chmodSync(join(folder, place, name), 0o755);
    return join(folder, place, name);
  };
  const [jj] = selectTools(["jj"]);

  test("is passed over where it would not last: dependencies, other private folders, relative places", () => {
    const places = ["a/node_modules/.bin", "b/.tools/bin", "c/bin"].map((place) =>
      join(program(place, "jj", "#!/bin/sh\n"), ".."),
    );
    mkdirSync(join(folder, "d"));
    symlinkSync(join(folder, "b/.tools/bin/jj"), join(folder, "d/jj"));
    assert.deepEqual(programsOnPath("jj", [...places, join(folder, "d"), ".", ""].join(":")), [
      join(folder, "c/bin/jj"),
    ]);
  });
  test("is the first that runs and is new enough", async () => {
    program("old", "jj", "#!/bin/sh\necho jj 0.30.0\n");
    program("broken", "jj", "#!/no/such/interpreter\n");
    const good = program("good", "jj", "#!/bin/sh\necho jj 0.50.1\n");
    const before = process.env.PATH;
    try {
      process.env.PATH = ["broken", "old", "good"].map((place) => join(folder, place)).join(":");
      assert.deepEqual(await findOnPath(jj), { path: good, version: "0.50.1" });
      process.env.PATH = join(folder, "old");
      assert.deepEqual(await findOnPath(jj), { rejected: "0.30.0 on PATH is older than 0.43.0" });
    } finally {
      process.env.PATH = before;
    }
  });
});

describe("messages", () => {
  test("never show a registry's address", () => {
    const said =
      "request to https://user:secret@registry.example/bun failed, reason: getaddrinfo ENOTFOUND registry.example\nnext line";
    const shown = redactAddresses(said);
    assert.doesNotMatch(shown, /example|secret/);
    assert.match(shown, /\nnext line$/);
    assert.doesNotMatch(
      redactAddresses("Could not resolve 'deb.example'\nCould not connect to deb.example:80 (10.0.0.1)"),
      /deb\.example/,
    );
  });
  test("tell the network, the disk and the rest apart, and name the client", () => {
    const explain = (/** @type {string} */ output) => explainClientFailure("npm", "fetch bun", output, "/f");
    assert.equal(explain("npm error code EAI_AGAIN").code, "network");
    assert.equal(explain("npm error code SELF_SIGNED_CERT_IN_CHAIN").code, "network");
    assert.equal(explain("npm error code ENOSPC").code, "space");
    assert.equal(explain("E: GPG error: NO_PUBKEY 1").code, "signature");
    assert.equal(explain("boom").code, "failed");
    assert.match(explain("boom").message, /^npm could not fetch bun: [^\n]+\n {4}boom$/);
  });
  test("name the choices for a tool that does not exist", () => {
    assert.throws(
      () => selectTools(["vim"]),
      (error) => error instanceof ProvisionError && error.code === "usage" && /nvim/.test(error.message),
    );
    assert.deepEqual(
      selectTools(["rg", "bun", "rg"]).map((tool) => tool.name),
      ["bun", "rg"],
    );
  });
  test("leave out of a group what the system has no use for", () => {
    const names = (/** @type {string} */ system) => selectTools(["runtime"], system).map(({ name }) => name);
    assert.ok(names("linux").includes("bwrap"));
    assert.ok(!names("darwin").includes("bwrap"));
    assert.deepEqual(
      selectTools(["bwrap"], "darwin").map(({ name }) => name),
      ["bwrap"],
    );
  });
});

test("a library that is not beside the program is noticed", () => {
  assert.deepEqual(missingLibraries("libc.so.6\nlibcurl.so.4\nlibc.so.6\n", new Set(["libc.so.6"])), [
    "libcurl.so.4",
  ]);
});

test("a folder on the way that others may not enter is named", () => {
  const open = join(folder, "open/in");
  mkdirSync(open, { recursive: true });
  for (const place of [folder, join(folder, "open"), open]) chmodSync(place, 0o755);
  assert.equal(closedToOthers(open), undefined);
  chmodSync(folder, 0o700);
  assert.equal(closedToOthers(open), folder);
});
