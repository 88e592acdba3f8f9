/** One table of options: whatever reads or shows an option takes it from there. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { contraries, sampleFlag, sampleOf } from "../../test-harness/support/option-samples.ts";
import { loadConfig } from "../src/config.ts";
import {
  flagOf,
  flags,
  fromEnvironment,
  fromFlags,
  nest,
  OPTION_NAMES,
  OPTIONS,
  optionTable,
  START_NAMES,
  variableOf,
} from "../src/options.ts";
import { settingsFromFiles } from "../src/settings-file.ts";

const root = mkdtempSync(join(tmpdir(), "options-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ROOT = join(import.meta.dir, "../..");

describe("C1: every option can be set everywhere", () => {
  for (const name of OPTION_NAMES) {
    test(`C1: ${name}, by its flag, its variable and in the tuple`, () => {
      const { text, value } = sampleOf(name);
      const { values } = parseArgs({ args: sampleFlag(name), options: flags() });
      expect(fromFlags(values)).toEqual({ [name]: value });
      expect(fromEnvironment({ [variableOf(name)]: text })).toEqual({ [name]: value });
      const viaTuple = loadConfig(nest({ [name]: value }), { HOME: "/h" });
      const viaEnvironment = loadConfig({}, { HOME: "/h", [variableOf(name)]: text });
      expect(viaTuple).toEqual(viaEnvironment);
      expect(viaTuple).not.toEqual(loadConfig({}, { HOME: "/h" }));
    });
  }

  test("C1: a switch is turned both ways", () => {
    const switches = OPTION_NAMES.filter((name) => flags()[flagOf(name)]?.type === "boolean");
    expect(switches).toContain("auto_sync");
    for (const name of switches) {
      const back = contraries(["--host", "h", ...sampleFlag(name)]);
      const { values } = parseArgs({ args: back, options: flags() });
      expect(fromFlags(values)).toEqual({ [name]: OPTIONS[name].default });
    }
  });

  test("C1: a flag that cannot be is refused by its name", () => {
    expect(() => fromFlags({ port: "many" })).toThrow("--port: expected a number");
    expect(() => fromFlags({ "verify-timeout-seconds": "0" })).toThrow("--verify-timeout-seconds");
    expect(() => fromEnvironment({ SUGGESTION_MANAGER_AUTO_SYNC: "perhaps" })).toThrow(
      "SUGGESTION_MANAGER_AUTO_SYNC: expected true or false",
    );
  });

  test("C1: docs/npm-start.txt, which answers before anything is set up, is the help of npm start", () => {
    const told = Bun.spawnSync(["bun", join(ROOT, "scripts/start/main.ts"), "--help"]).stdout.toString();
    expect(readFileSync(join(ROOT, "docs/npm-start.txt"), "utf8")).toBe(told);
  });

  test("C1: the README's table is the table of options", () => {
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain(optionTable());
  });

  for (const [command, script, names] of [
    ["serve", "plugin/src/serve.ts", OPTION_NAMES],
    ["start", "scripts/start/main.ts", START_NAMES],
  ] as const) {
    test(`C1: the help of npm ${command === "serve" ? "run serve" : "start"} names every flag`, () => {
      const told = Bun.spawnSync(["bun", join(ROOT, script), "--help"]).stdout.toString();
      for (const name of names) expect(told).toContain(`${flagOf(name)} `);
    });
  }
});

describe("D12: suggestion_manager at the top of opencode.json", () => {
  let count = 0;
  const place = (files: Record<string, unknown>) => {
    const home = join(root, String(++count));
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      writeFileSync(join(home, path), typeof content === "string" ? content : JSON.stringify(content));
    }
    const project = join(home, "project");
    mkdirSync(project, { recursive: true });
    const env: Record<string, string> = { HOME: home };
    const load = (options: unknown = {}, more: Record<string, string> = {}) => {
      const all = { ...env, ...more };
      return loadConfig(options, all, () => settingsFromFiles(project, "/", all));
    };
    return { home, load };
  };
  const GLOBAL = ".config/opencode/opencode.json";

  test("D12: is read as the file has it, where the tuple gives none", () => {
    const seeded = { port: 4633, feedback_log: "~/.local/share/opencode/feedback.jsonl", auto_sync: true };
    const { home, load } = place({ [GLOBAL]: { suggestion_manager: seeded } });
    const log = join(home, ".local/share/opencode/feedback.jsonl");
    expect(load()).toMatchObject({ port: 4633, autoSync: true, feedbackLog: log });
    expect(load({ port: 1234 })).toMatchObject({ port: 1234, autoSync: true });
    expect(load({}, { SUGGESTION_MANAGER_PORT: "5" })).toMatchObject({ port: 4633 });
  });

  test("D12: is read with comments, and a later file counts", () => {
    const { load } = place({
      [GLOBAL]: { suggestion_manager: { port: 1, log_level: "warn" } },
      ".config/opencode/opencode.jsonc": '{ // ours\n "suggestion_manager": { "port": 2, }, }',
    });
    expect(load()).toMatchObject({ port: 2, logLevel: "warn" });
  });

  test("D12: a name that is not known is told, with its file", () => {
    const { load } = place({ [GLOBAL]: { suggestion_manager: { prot: 1 } } });
    expect(() => load()).toThrow(/opencode\.json: suggestion_manager prot: no such option; there are port,/);
  });

  test("D12: a file of the project sets what harms nobody, and gives the agent no rights", () => {
    const harmless = place({ "project/opencode.json": { suggestion_manager: { port: 3 } } });
    expect(harmless.load()).toMatchObject({ port: 3 });
    expect(harmless.load({}, { OPENCODE_DISABLE_PROJECT_CONFIG: "1" })).toMatchObject({ port: 4097 });
    const harmful = place({ "project/opencode.json": { suggestion_manager: { agent_may_approve: true } } });
    expect(() => harmful.load()).toThrow(/agent_may_approve: the agent can write this file/);
  });
});
