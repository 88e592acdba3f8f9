/**
 * Every setting of the server, once: its name, what may stand there, its default and its meaning. The plugin's
 * options, the environment, the flags of `serve` and `npm start`, their help and the README's table come from here.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ReviewError } from "./protocol/errors.ts";

/** How a value is written where there is only text: in the environment and on a command line. */
type Kind = "text" | "number" | "switch" | "list";

interface Option<Value> {
  kind: Kind;
  schema: z.ZodType<Value>;
  default: Value;
  /** How the default reads in a table, where it is not the value itself. */
  shownDefault?: string;
  meaning: string;
  /** Environment variable and flag, where they are not made from the name. */
  env?: string;
  flag?: string;
  /** Whether a file of the project may set it, which the agent can write. */
  ofProject?: true;
  /** Whether `npm start` sees to it by itself, so that it is none of its flags. */
  ofLauncher?: true;
}

/** A file or folder: `~` and relative paths become absolute ones, and the default is a place in the user's home. */
interface PathOption extends Option<string | null> {
  path: (env: Record<string, string | undefined>, home: string) => string;
}

const option = <Value>(row: Option<Value>): Option<Value> => row;
const path = (row: Omit<PathOption, "kind" | "schema" | "default">): PathOption => ({
  kind: "text",
  schema: z.string().min(1),
  default: null,
  ...row,
});
const maybe = (row: Omit<Option<string | null>, "kind" | "schema" | "default">): Option<string | null> => ({
  kind: "text",
  schema: z.string().min(1),
  default: null,
  ...row,
});

/** A branch name; only a `*` at its end is a wildcard. Git's own rules for names are left to git. */
const BranchPattern = z
  .string()
  .regex(/^(?!refs\/)[^\s*?[\\^~:]*\*?$/, "expected a branch name such as main or topic/*")
  .min(1);

export const OPTIONS = {
  port: option<number>({
    kind: "number",
    schema: z.coerce.number().int().min(0).max(65535),
    default: 4097,
    meaning: "HTTP and WebSocket port; `0` picks a free one",
    ofProject: true,
  }),
  host: option<string>({
    kind: "text",
    schema: z.string().min(1),
    default: "127.0.0.1",
    meaning: "address to bind",
  }),
  socket: maybe({
    shownDefault: "none",
    meaning:
      "Unix socket to listen on in place of the port; `host` and `port` then say where clients find the relay that leads to it. `npm start` sets it",
    ofLauncher: true,
  }),
  state_dir: path({
    path: (env, home) => join(env.XDG_STATE_HOME || join(home, ".local/state"), "suggestion-manager"),
    shownDefault: "`$XDG_STATE_HOME/suggestion-manager`",
    meaning: "ledger, hubs, token hashes",
    env: "SUGGESTION_MANAGER_STATE",
    flag: "state",
  }),
  feedback_log: path({
    path: (env, home) => join(env.XDG_DATA_HOME || join(home, ".local/share"), "opencode/feedback.jsonl"),
    shownDefault: "`$XDG_DATA_HOME/opencode/feedback.jsonl`",
    meaning: "every decision as a JSON line",
    ofProject: true,
  }),
  auto_sync: option<boolean>({
    kind: "switch",
    schema: z.boolean(),
    default: false,
    meaning: "finalize by itself when every hunk is decided",
    ofProject: true,
  }),
  "sync.remote": maybe({
    shownDefault: "the server's own hub",
    meaning: "repository that finalized commits are pushed to",
  }),
  "sync.branch": maybe({
    shownDefault: "one bookmark per suggestion",
    meaning: "push to this branch instead",
  }),
  "sync.base": maybe({ shownDefault: "the hub's HEAD", meaning: "the shared branch" }),
  "sync.prefix": option<string>({
    kind: "text",
    schema: z.string().min(1),
    default: "suggestions/",
    meaning: "prefix of the bookmarks",
  }),
  "sync.push_branches": option<string[]>({
    kind: "list",
    schema: z.array(BranchPattern),
    default: ["*"],
    meaning: 'branches of the hub that you may push to over HTTP, such as `["main", "topic/*"]`',
  }),
  "verify.command": maybe({
    shownDefault: "none",
    meaning: "shell command that checks the accepted-only tree on request",
  }),
  "verify.timeout_seconds": option<number>({
    kind: "number",
    schema: z.number().int().min(1).max(86_400),
    default: 600,
    meaning: "how long that command may take",
  }),
  agent_may_approve: option<boolean>({
    kind: "switch",
    schema: z.boolean(),
    default: false,
    meaning: "whether the agent's own tools may decide",
  }),
  allowed_origins: option<string[]>({
    kind: "list",
    schema: z.array(z.string()),
    default: [],
    shownDefault: "none",
    meaning: "browser origins that may connect",
  }),
  log_level: option<"silent" | "error" | "warn" | "info" | "debug">({
    kind: "text",
    schema: z.enum(["silent", "error", "warn", "info", "debug"]),
    default: "info",
    meaning: "`silent`, `error`, `warn`, `info`, `debug`",
    ofProject: true,
  }),
};

export type OptionName = keyof typeof OPTIONS;
type ValueOf<Row> = Row extends PathOption ? string : Row extends Option<infer Value> ? Value : never;
/** All values by the options' full names. */
export type Values = { [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };
export type Given = Partial<Record<OptionName, unknown>>;

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;
type Group = OptionName extends infer Name ? (Name extends `${infer Head}.${string}` ? Head : never) : never;
/** The settings as the server reads them: `sync.push_branches` is `sync.pushBranches`. */
export type Config = {
  [Name in OptionName as Name extends `${string}.${string}` ? never : Camel<Name>]: Values[Name];
} & {
  [Of in Group]: {
    [Name in OptionName as Name extends `${Of}.${infer Rest}` ? Camel<Rest> : never]: Values[Name];
  };
};

const row = (name: OptionName): Option<unknown> => OPTIONS[name] as Option<unknown>;

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];
/** Those that are for a person to set where a launcher starts the server. */
export const START_NAMES = OPTION_NAMES.filter((name) => row(name).ofLauncher !== true);

const isName = (name: string): name is OptionName => Object.hasOwn(OPTIONS, name);

/** A value or a name that cannot be; the message names it and says what was expected. */
export class OptionError extends ReviewError {
  constructor(message: string) {
    super("invalid_request", message);
  }
}

/** `sync.remote` → `SUGGESTION_MANAGER_SYNC_REMOTE` */
export const variableOf = (name: OptionName): string =>
  row(name).env ?? `SUGGESTION_MANAGER_${name.replaceAll(".", "_").toUpperCase()}`;

/** `sync.remote` → `sync-remote` */
export const flagOf = (name: OptionName): string => row(name).flag ?? name.replaceAll(/[._]/g, "-");

/**
 * Options as a person writes them, nested, as values by full names.
 * @param where what the error calls the place
 * @throws OptionError for a name that is not known
 */
export function flatten(options: unknown, where: string): Given {
  const given: Given = {};
  const isGroup = (name: string) => OPTION_NAMES.some((known) => known.startsWith(`${name}.`));
  const take = (object: unknown, prefix: string) => {
    if (typeof object !== "object" || object === null || Array.isArray(object)) {
      throw new OptionError(`${where} ${prefix.slice(0, -1) || "(options)"}: expected an object of options`);
    }
    for (const [key, value] of Object.entries(object)) {
      const name = `${prefix}${key}`;
      if (value === undefined) continue;
      if (isName(name)) given[name] = value;
      else if (isGroup(name)) take(value, `${name}.`);
      else throw new OptionError(`${where} ${name}: no such option; there are ${OPTION_NAMES.join(", ")}`);
    }
  };
  take(options, "");
  return given;
}

/** Values by full names as the nested object that {@link flatten} reads. */
export function nest(given: Given): Record<string, unknown> {
  const nested: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const [group, key] = name.split(".") as [string, string | undefined];
    if (key === undefined) nested[group] = value;
    else nested[group] = { ...(nested[group] as object | undefined), [key]: value };
  }
  return nested;
}

/** @throws OptionError that names the option, as `where` has it, and says what was expected */
export function check(given: Given, where: (name: OptionName) => string): Given {
  const checked: Given = {};
  for (const [name, value] of Object.entries(given) as [OptionName, unknown][]) {
    const parsed = row(name).schema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new OptionError(
        `${[where(name), ...(issue?.path ?? [])].join(".")}: ${issue?.message ?? "not valid"}`,
      );
    }
    checked[name] = parsed.data;
  }
  return checked;
}

const YES = ["true", "1", "yes", "on"];
const NO = ["false", "0", "no", "off"];

/** A value written as text. @throws OptionError */
function fromText(name: OptionName, text: string, called: string): unknown {
  switch (row(name).kind) {
    case "number":
      if (!/^\d+$/.test(text.trim()))
        throw new OptionError(`${called}: expected a number, got ${JSON.stringify(text)}`);
      return Number(text);
    case "switch": {
      const word = text.trim().toLowerCase();
      if (YES.includes(word)) return true;
      if (NO.includes(word)) return false;
      throw new OptionError(`${called}: expected true or false, got ${JSON.stringify(text)}`);
    }
    case "list":
      return text
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== "");
    default:
      return text;
  }
}

/** What the environment says; an empty variable says nothing. @throws OptionError */
export function fromEnvironment(env: Record<string, string | undefined>): Given {
  const given: Given = {};
  for (const name of OPTION_NAMES) {
    const text = env[variableOf(name)];
    if (text === undefined || text === "") continue;
    const value = fromText(name, text, variableOf(name));
    Object.assign(
      given,
      check({ [name]: value }, () => variableOf(name)),
    );
  }
  return given;
}

/** For `parseArgs`: a flag for every option, and `--no-…` for what is on or off. */
export function flags(
  names = OPTION_NAMES,
): Record<string, { type: "string" | "boolean"; multiple?: boolean }> {
  const all: Record<string, { type: "string" | "boolean"; multiple?: boolean }> = {};
  for (const name of names) {
    const { kind } = row(name);
    if (kind === "switch") {
      all[flagOf(name)] = { type: "boolean" };
      all[`no-${flagOf(name)}`] = { type: "boolean" };
    } else {
      all[flagOf(name)] = kind === "list" ? { type: "string", multiple: true } : { type: "string" };
    }
  }
  return all;
}

/** What the command line says. @param values of `parseArgs` @throws OptionError */
export function fromFlags(values: Record<string, unknown>): Given {
  const given: Given = {};
  for (const name of OPTION_NAMES) {
    const flag = flagOf(name);
    const value = values[flag];
    if (values[`no-${flag}`] === true) given[name] = false;
    else if (typeof value === "string") given[name] = fromText(name, value, `--${flag}`);
    else if (Array.isArray(value))
      given[name] = value.flatMap((one) => fromText(name, String(one), `--${flag}`));
    else if (value !== undefined) given[name] = value;
  }
  return check(given, (name) => `--${flagOf(name)}`);
}

/** The flags, as lines of a usage text. */
export function flagHelp(names = OPTION_NAMES): string {
  return names
    .map((name) => {
      const { kind, meaning } = row(name);
      const written =
        kind === "switch"
          ? `--[no-]${flagOf(name)}`
          : `--${flagOf(name)} ${kind === "number" ? "N" : kind === "list" ? "A,B" : "TEXT"}`;
      return `  ${written.padEnd(32)} ${meaning.replaceAll("`", "")} (default ${defaultOf(name).replaceAll("`", "")})`;
    })
    .join("\n");
}

const defaultOf = (name: OptionName): string => {
  const { shownDefault, default: value } = row(name);
  return shownDefault ?? `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
};

/** The README's table of options. */
export function optionTable(): string {
  const lines = OPTION_NAMES.map(
    (name) =>
      `| \`${name}\` | \`--${flagOf(name)}\` | \`${variableOf(name)}\` | ${defaultOf(name)} | ${row(name).meaning} |`,
  );
  return ["| option | flag | environment | default | |", "|---|---|---|---|---|", ...lines].join("\n");
}

/** Names that a file of the project may not set. */
export const notOfProject = (given: Given): OptionName[] =>
  (Object.keys(given) as OptionName[]).filter((name) => row(name).ofProject !== true);

/** `~` and relative paths as absolute ones. */
export function expandPath(path: string, home = homedir()): string {
  return resolve(path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : path);
}

const camel = (name: string) => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** Each option's value from the first source that has one, under the names that the server uses. */
export function settle(sources: Given[], env: Record<string, string | undefined>): Config {
  const home = env.HOME ?? homedir();
  const values: Given = {};
  for (const name of OPTION_NAMES) {
    const source = sources.find((given) => given[name] !== undefined);
    const value = source === undefined ? row(name).default : source[name];
    const of = row(name);
    values[name] =
      "path" in of ? expandPath((value as string | null) ?? (of as PathOption).path(env, home), home) : value;
  }
  const named = (object: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(object).map(([name, value]) => {
        const isGroup = !isName(name) && typeof value === "object" && value !== null && !Array.isArray(value);
        return [camel(name), isGroup ? named(value as Record<string, unknown>) : value];
      }),
    );
  return named(nest(values)) as Config;
}
