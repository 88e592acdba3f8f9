/** Neovim on the developer's side. */
import { join } from "node:path";
import { type Identity, writeAs } from "./identity.ts";
import { type DeveloperPlace, ROOT } from "./places.ts";

const quote = (text: string) => `"${text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;

/** Settings that point the client at this run. For a demo they stand alone; for an own repository they are loaded after the developer's own. */
export async function writeInit(
  place: DeveloperPlace,
  owner: Identity,
  server: { host: string; port: number },
  demo: boolean,
): Promise<void> {
  const lines = [
    "-- Written anew at each start.",
    ...(demo ? ['vim.g.mapleader = " "', "vim.o.termguicolors = true", "vim.o.number = true"] : []),
    `vim.opt.runtimepath:prepend(${quote(join(ROOT, "nvim"))})`,
    `vim.opt.runtimepath:append(${quote(join(ROOT, "nvim/after"))})`,
    ...(demo ? [] : ["vim.cmd.runtime({ 'plugin/suggestion-review.lua', bang = true })"]),
    'require("suggestion-review").setup({',
    "  server = {",
    `    host = ${quote(server.host)},`,
    `    port = ${server.port},`,
    `    token_file = ${quote(place.token)},`,
    `    root = ${quote(place.checkout)},`,
    "  },",
    "})",
    "",
  ];
  await writeAs(owner, place.init, lines.join("\n"), "644");
}

export function neovimCommand(place: DeveloperPlace, demo: boolean, review: boolean): string[] {
  return [
    "nvim",
    ...(demo ? ["-u", place.init] : ["-c", `luafile ${place.init.replace(/[ %#\\|"']/g, "\\$&")}`]),
    ...(review ? ["-c", "Suggest review"] : []),
  ];
}

/** Folders of the demo's Neovim, so that nothing of the developer's own is read or changed. */
export function neovimEnvironment(place: DeveloperPlace, demo: boolean): Record<string, string> {
  if (!demo) return {};
  return {
    XDG_CONFIG_HOME: join(place.nvim, "config"),
    XDG_DATA_HOME: join(place.nvim, "data"),
    XDG_STATE_HOME: join(place.nvim, "state"),
    XDG_CACHE_HOME: join(place.nvim, "cache"),
  };
}

/** Runs Neovim on this terminal to its end. */
export async function openNeovim(
  place: DeveloperPlace,
  owner: Identity,
  demo: boolean,
  review: boolean,
): Promise<number> {
  const child = Bun.spawn(owner.wrap(neovimCommand(place, demo, review)), {
    cwd: place.checkout,
    env: { ...owner.env, ...neovimEnvironment(place, demo) },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  return child.exited;
}
