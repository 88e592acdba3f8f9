// @ts-check
// Every tool the product needs: the oldest version that will do, and where it comes from. Data only.
import { ProvisionError } from "./errors.mjs";
import { bunPackages, opencodePackages, styluaPackages } from "./platform.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */

/** @type {Tool[]} */
const tools = [
  {
    name: "bun",
    group: "runtime",
    minimum: "1.3.0",
    versionArguments: ["--version"],
    // The version that opencode embeds, so that what passes here passes there.
    npm: { version: "1.3.14", packages: bunPackages, program: "bin/bun" },
    selfContained: true,
    formula: "bun",
  },
  {
    name: "opencode",
    group: "runtime",
    minimum: "1.18.0",
    versionArguments: ["--version"],
    npm: { version: "1.18.33", nearest: "~1.18.0", packages: opencodePackages, program: "bin/opencode" },
    selfContained: true,
    formula: "opencode",
  },
  {
    name: "jj",
    group: "runtime",
    minimum: "0.43.0", // `jj git import` matches the change-id header from here on
    versionArguments: ["--version"],
    debian: { package: "jujutsu", program: "usr/bin/jj", keep: ["usr/bin/jj"] },
    selfContained: true,
    formula: "jj",
  },
  {
    name: "git",
    group: "runtime",
    minimum: "2.42.0", // what jj's push asks for
    versionArguments: ["--version"],
    debian: {
      package: "git",
      program: "usr/bin/git",
      keep: [
        "usr/bin/git",
        "usr/bin/git-receive-pack",
        "usr/bin/git-upload-archive",
        "usr/bin/git-upload-pack",
        "usr/lib/git-core",
        "usr/share/git-core",
      ],
      alsoCheck: [
        "usr/lib/git-core/git",
        "usr/lib/git-core/git-remote-http",
        "usr/lib/git-core/git-http-backend",
      ],
    },
    selfContained: false,
    formula: "git",
  },
  {
    name: "nvim",
    group: "runtime",
    minimum: "0.11.0",
    versionArguments: ["--version"],
    debian: {
      package: "neovim",
      program: "usr/bin/nvim",
      keep: ["usr/bin/nvim", "usr/lib/nvim", "usr/share/nvim"],
      alsoCheck: ["usr/share/nvim/runtime/filetype.lua", "usr/lib/nvim/parser/lua.so"],
    },
    selfContained: false,
    formula: "neovim",
  },
  {
    name: "rg",
    group: "runtime",
    minimum: "13.0.0",
    versionArguments: ["--version"],
    debian: { package: "ripgrep", program: "usr/bin/rg", keep: ["usr/bin/rg"] },
    selfContained: true,
    formula: "ripgrep",
  },
  {
    name: "bwrap",
    group: "runtime",
    systems: ["linux"], // it is made of the Linux kernel's namespaces
    minimum: "0.4.0",
    versionArguments: ["--version"],
    debian: { package: "bubblewrap", program: "usr/bin/bwrap", keep: ["usr/bin/bwrap"] },
    selfContained: true,
    formula: "bubblewrap",
  },
  {
    name: "tmux",
    group: "dev",
    minimum: "3.2",
    versionArguments: ["-V"],
    debian: { package: "tmux", program: "usr/bin/tmux", keep: ["usr/bin/tmux"] },
    selfContained: false,
    formula: "tmux",
  },
  {
    name: "luacheck",
    group: "dev",
    minimum: "0.25.0",
    versionArguments: ["--version"],
    debian: {
      package: "lua-check",
      program: "usr/bin/luacheck",
      keep: ["usr/bin/luacheck", "usr/bin/lua5.1", "usr/share/lua/5.1"],
      alsoCheck: ["usr/bin/lua5.1"],
    },
    selfContained: false,
    formula: "luacheck",
  },
  {
    name: "stylua",
    group: "dev",
    minimum: "2.0.0",
    versionArguments: ["--version"],
    npm: { version: "2.5.2", nearest: "^2.0.0", packages: styluaPackages, program: "stylua" },
    selfContained: true,
    formula: "stylua",
  },
];

/** @type {ReadonlyMap<string, Tool>} */
export const catalog = new Map(tools.map((tool) => [tool.name, tool]));

/** What another user's home needs to run the server and the agent. */
export const sandboxTools = ["bun", "opencode", "jj", "git", "rg", "bwrap"];

/**
 * @param {string[]} names tools, or the groups "runtime", "dev" and "all"
 * @param {string} [system] as `process.platform` has it: a group leaves out what there is no use for
 * @returns {Tool[]} in the catalogue's order, each once
 */
export function selectTools(names, system = process.platform) {
  const groups = new Set(["runtime", "dev", "all"]);
  for (const name of names)
    if (!groups.has(name) && !catalog.has(name))
      throw new ProvisionError(
        "usage",
        `There is no tool or group called "${name}": choose from ${[...groups, ...catalog.keys()].join(", ")}.`,
      );
  return tools.filter(
    ({ name, group, systems }) =>
      names.includes(name) ||
      ((names.includes("all") || names.includes(group)) && (systems?.includes(system) ?? true)),
  );
}

/**
 * What an entry was made from; a changed recipe makes the tool be looked at again.
 * @param {Tool} tool
 */
export function recipeOf(tool) {
  return [tool.minimum, tool.npm?.version, tool.debian?.package].filter(Boolean).join(" ");
}
