// @ts-check
/**
 * Prints every door of the product as JSON, from the product's own tables, with the suite that has to go through it:
 * REST routes, WebSocket commands, the agent's tools, the server's options, the client's commands, keys, maps and
 * settings, and the flags that the commands' own help names.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTools } from "../../../plugin/src/agent/tools.ts";
import { loadConfig } from "../../../plugin/src/config.ts";
import { Command } from "../../../plugin/src/protocol/commands.ts";
import { mcpTools } from "../../../plugin/src/server/mcp/mcp-door.ts";
import { ROUTES } from "../../../plugin/src/server/routes.ts";
import { QUICK, SUITES } from "../suites.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** @typedef {import("./verdict.mjs").Door} Door */

/** @param {string} program @param {string[]} args */
function output(program, ...args) {
  const done = spawnSync(program, args, { cwd: ROOT, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

/** @param {string} name */
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @param {object} config @returns {string[]} */
function optionNames(config, path = "") {
  return Object.entries(config).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? optionNames(value, `${path}${snake(name)}.`)
      : [`${path}${snake(name)}`],
  );
}

/** The flags that a command's help names; `--[no-]x` is two. @param {string} script @returns {string[]} */
const flagsOf = (script) => [
  ...new Set([
    "--help",
    ...[
      ...output("bun", join(ROOT, script), "--help").matchAll(/(?<=^ +|[ [])--(\[no-\])?([a-z][a-z-]+)/gm),
    ].flatMap(([, either, name]) => (either === undefined ? [`--${name}`] : [`--${name}`, `--no-${name}`])),
  ]),
];

/** @param {string} suite @param {string} kind @param {readonly string[]} names @returns {Door[]} */
const owned = (suite, kind, names) =>
  names.map((name) => ({ door: kind === "" ? name : `${kind} ${name}`, suite }));

/** @type {Door[]} */
const doors = [
  ...owned(
    "plugin",
    "rest",
    ROUTES.map(({ method, path }) => `${method} ${path}`),
  ),
  ...owned("plugin", "ws", [...Command.options.map(({ shape }) => shape.type.value)].sort()),
  // Nothing is asked of the desk to name the tools.
  ...owned(
    "plugin",
    "tool",
    Object.keys(createTools(/** @type {any} */ ({}), "", async (session) => session)),
  ),
  ...owned("plugin", "mcp", [
    ...mcpTools(/** @type {any} */ ({ desk: {}, config: { agentMayApprove: true } }), undefined).keys(),
  ]),
  ...owned("plugin", "option", optionNames(loadConfig({}, {}))),
  ...owned("nvim", "", JSON.parse(output("nvim", "--clean", "--headless", "-l", "nvim/tests/door_list.lua"))),
  ...owned("e2e", "flag start", flagsOf("scripts/start/main.ts")),
  ...owned("e2e", "flag serve", flagsOf("plugin/src/serve.ts")),
  ...owned("plugin", "flag mcp", flagsOf("scripts/mcp.mjs")),
  ...owned("e2e", "flag teardown", flagsOf("scripts/start/teardown.ts")),
  ...owned("e2e", "flag sandbox", flagsOf("scripts/start/allow.ts")),
  ...[...SUITES, QUICK].map(({ name }) => ({ door: `suite ${name}`, suite: name })),
];
process.stdout.write(
  `${JSON.stringify({ doors, routes: ROUTES.map(({ method, path }) => [method, path]) })}\n`,
);
