/**
 * `suggestion_manager` at the top of the host's configuration files. The host drops names it does not know before a
 * plugin sees its configuration, so the files themselves are read, in the host's order: the later one counts.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { withoutComments } from "./jsonc.ts";
import { check, flatten, type Given, notOfProject, OptionError } from "./options.ts";

const KEY = "suggestion_manager";
const NAMES = ["config.json", "opencode.json", "opencode.jsonc"];

/** A configuration of the host's. */
interface Source {
  path: string;
  text: string;
  /** Whether it lies in the project, where the agent can write it. */
  ofProject: boolean;
}

/**
 * @param directory the project, as the host has it
 * @param worktree top of the project's files; "/" when there is none
 * @throws OptionError that names the file and the option
 */
export function settingsFromFiles(
  directory: string,
  worktree: string,
  env: Record<string, string | undefined> = process.env,
): Given {
  const given: Given = {};
  for (const source of sources(directory, worktree, env)) Object.assign(given, settingsOf(source));
  return given;
}

function settingsOf({ path, text, ofProject }: Source): Given {
  let parsed: unknown;
  try {
    parsed = JSON.parse(withoutComments(text));
  } catch {
    // Not for us to complain about: the host does.
    return {};
  }
  const settings = (parsed as Record<string, unknown> | null)?.[KEY];
  if (settings === undefined) return {};
  const where = `${path}: ${KEY}`;
  const given = check(flatten(settings, where), (name) => `${where} ${name}`);
  const [refused] = ofProject ? notOfProject(given) : [];
  if (refused !== undefined) {
    throw new OptionError(
      `${where} ${refused}: the agent can write this file; set it in opencode's configuration of the user`,
    );
  }
  return given;
}

function sources(directory: string, worktree: string, env: Record<string, string | undefined>): Source[] {
  const home = env.HOME ?? homedir();
  const global = join(env.XDG_CONFIG_HOME || join(home, ".config"), "opencode");
  const ofUser = NAMES.map((name) => join(global, name));
  if (env.OPENCODE_CONFIG) ofUser.push(env.OPENCODE_CONFIG);
  const found = ofUser.flatMap((path) => read(path, false));
  if (!isOn(env.OPENCODE_DISABLE_PROJECT_CONFIG)) {
    for (const dir of foldersDown(directory, worktree)) {
      for (const name of ["opencode.json", "opencode.jsonc"]) {
        found.push(...read(join(dir, name), true), ...read(join(dir, ".opencode", name), true));
      }
    }
  }
  if (env.OPENCODE_CONFIG_DIR)
    for (const name of NAMES.slice(1)) found.push(...read(join(env.OPENCODE_CONFIG_DIR, name), false));
  const inline = env.OPENCODE_CONFIG_CONTENT;
  if (inline) found.push({ path: "OPENCODE_CONFIG_CONTENT", text: inline, ofProject: false });
  return found;
}

const isOn = (value: string | undefined) => value === "1" || value?.toLowerCase() === "true";

function read(path: string, ofProject: boolean): Source[] {
  if (!existsSync(path)) return [];
  try {
    return [{ path, text: readFileSync(path, "utf8"), ofProject }];
  } catch {
    return [];
  }
}

/** From the worktree down to the directory. */
function foldersDown(directory: string, worktree: string): string[] {
  const top = worktree === "/" || !`${directory}/`.startsWith(`${worktree}/`) ? directory : worktree;
  const folders = [directory];
  for (let dir = directory; dir !== top; dir = dirname(dir)) folders.unshift(dirname(dir));
  return folders;
}
