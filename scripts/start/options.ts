/** The command line of `npm start`. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  flagHelp,
  flags,
  fromEnvironment,
  fromFlags,
  type Given,
  OPTIONS,
  OptionError,
  START_NAMES,
} from "../../plugin/src/options.ts";
import { LEAST_PROCESSES } from "../../sandbox/limits.ts";
import type { GuardWishes } from "./guard.ts";
import { StartError } from "./report.ts";

export interface StartOptions {
  /** The developer's own repository; null for the demo. */
  repository: string | null;
  headless: boolean;
  json: boolean;
  /** 0 picks a free port. */
  port: number;
  /** Options of the review server that were given, by their full names. */
  server: Given;
  fresh: boolean;
  sameUser: boolean;
  /** The agent's commands run in a ring of their own. */
  cage: boolean;
  /** Folders that are shown in it, read-only. */
  show: string[];
  /** What the agent's commands may take of the machine, where it is not what the machine says. */
  limits: GuardWishes;
  allowDirty: boolean;
  /** First prompt for the agent of an own repository. */
  ask: string | null;
  /** Names of environment variables handed to the agent. */
  pass: string[];
  /** Names of the developer's MCP servers that the agent has. */
  mcp: string[];
}

export const USAGE = `usage: npm start -- [<repository>] [options]

Without a repository: a small demo project, with an agent whose words are scripted.
With one (a git or jj repository of yours): your own opencode providers, and a clone for the agent.

  --headless       print where everything is and stay until Ctrl-C, instead of opening Neovim
  --json           like --headless, with one line of JSON on standard output
  --fresh          start a new demo even if one is under review (the old one is kept)
  --same-user      run the agent as this user, even if a separate user is possible
  --no-cage        run opencode and its commands without the rings: they reach whatever the agent's user reaches, on the
                   machine's network
  --show FOLDER    show this folder to the agent's commands, read-only (a toolchain in your home); may be repeated
  --disk SIZE      by this much the agent's side may grow, its commands are stopped then (2G; default: half of what is free)
  --disk-reserve SIZE  this much of its disk stays free, its commands are stopped before (default: 2 GiB, or 5 % of a small disk)
  --memory SIZE    its commands together may use this much memory (4G; default: three quarters of the machine's)
  --processes N    and this many processes and threads, opencode's own among them (default: 4096, or less where you may have few)
  --allow-dirty    go on although the repository has uncommitted changes, which the agent will not see
  --ask TEXT       first prompt for the agent (own repository only)
  --env NAME       hand this environment variable to the agent; may be repeated (own repository only)
  --mcp NAME       give the agent this local MCP server of your opencode settings, in a cage of its own; may be repeated (own
                   repository only)

The review server's options; each also as an environment variable (see the README), --state apart:

${flagHelp(START_NAMES)}

ISOLATED_AI_CODER_USER names the agent's Unix user (default ai-coder), made on the first start as root.
Everything that was made is removed by: npm run teardown
`;

/** @throws StartError with exit code 2 */
export function parseOptions(args: string[]): StartOptions | "help" {
  const { values, positionals } = parse(args);
  if (values.help === true) return "help";
  if (positionals.length > 1) {
    throw new StartError(
      `expected one repository at most, got ${positionals.length}: ${positionals.join(", ")}`,
      2,
    );
  }
  const server = serverOptions(values);
  const repository = positionals[0] ?? null;
  if (repository === null && (values.ask !== undefined || values.env.length > 0 || values.mcp.length > 0)) {
    throw new StartError(
      "--ask, --env and --mcp need a repository: the demo's model knows only its own task",
      2,
    );
  }
  for (const name of values.env) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new StartError(`--env: expected the name of an environment variable, got "${name}"`, 2);
    }
    if (process.env[name] === undefined) throw new StartError(`--env: ${name} is not set`, 2);
  }
  const limits = {
    ...size(values, "disk", "disk"),
    ...size(values, "disk-reserve", "diskReserve"),
    ...size(values, "memory", "memory"),
    ...processes(values.processes),
  };
  if (values["no-cage"] === true && Object.keys(limits).length > 0)
    throw new StartError(
      "--disk, --disk-reserve, --memory and --processes are limits of the cage: leave them or --no-cage out",
      2,
    );
  return {
    repository,
    headless: values.headless === true || values.json === true,
    json: values.json === true,
    port: Number(server.port ?? OPTIONS.port.default),
    server,
    fresh: values.fresh === true,
    sameUser: values["same-user"] === true,
    cage: values["no-cage"] !== true,
    show: values.show.map((path) => shownFolder(path)),
    limits,
    allowDirty: values["allow-dirty"] === true,
    ask: values.ask ?? null,
    pass: values.env,
    mcp: values.mcp,
  };
}

const UNITS = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const LEAST_BYTES = 2 ** 20;

/** A size that a flag gives, under the name that it has among the limits. */
function size<Name extends keyof GuardWishes>(
  values: Record<string, unknown>,
  flag: string,
  name: Name,
): { [Key in Name]?: number } | Record<string, never> {
  const text = values[flag];
  if (text === undefined) return {};
  const [, number, unit] = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(String(text)) ?? [];
  const bytes = Math.floor(Number(number) * UNITS[(unit ?? "") as keyof typeof UNITS]);
  if (!(bytes >= LEAST_BYTES && Number.isSafeInteger(bytes)))
    throw new StartError(`--${flag}: expected a size of 1M or more, as in 500M or 2G, got "${text}"`, 2);
  return { [name]: bytes } as { [Key in Name]?: number };
}

function processes(text: string | undefined): Pick<GuardWishes, "processes"> {
  if (text === undefined) return {};
  if (!/^\d{1,6}$/.test(text) || Number(text) < LEAST_PROCESSES)
    throw new StartError(`--processes: expected a number of ${LEAST_PROCESSES} or more, got "${text}"`, 2);
  return { processes: Number(text) };
}

function shownFolder(path: string): string {
  const folder = resolve(path);
  if (!existsSync(folder)) throw new StartError(`--show: expected a folder, ${folder} is not there`, 2);
  return folder;
}

/** The flags over the environment. Where the state is, is for this command alone to say. */
function serverOptions(values: Record<string, unknown>): Given {
  try {
    const { state_dir: _ofAnotherServer, socket: _too, ...variables } = fromEnvironment(process.env);
    return { ...variables, ...fromFlags(values) };
  } catch (error) {
    if (error instanceof OptionError) throw new StartError(error.message, 2);
    throw error;
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h" },
        headless: { type: "boolean" },
        json: { type: "boolean" },
        ...flags(START_NAMES),
        fresh: { type: "boolean" },
        "same-user": { type: "boolean" },
        "no-cage": { type: "boolean" },
        show: { type: "string", multiple: true, default: [] as string[] },
        disk: { type: "string" },
        "disk-reserve": { type: "string" },
        memory: { type: "string" },
        processes: { type: "string" },
        "allow-dirty": { type: "boolean" },
        ask: { type: "string" },
        env: { type: "string", multiple: true, default: [] as string[] },
        mcp: { type: "string", multiple: true, default: [] as string[] },
      },
    });
  } catch (error) {
    throw new StartError(`${(error as Error).message}\n\n${USAGE}`, 2);
  }
}
