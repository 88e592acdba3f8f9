/**
 * Settings, read once at start: the plugin's options over `suggestion_manager` in the host's own configuration over
 * the environment over defaults. A bad value is refused by name rather than replaced by a default.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { check, flatten, fromEnvironment, type Given, settle } from "./options.ts";

export interface Config {
  host: string;
  port: number;
  stateDir: string;
  feedbackLog: string;
  autoSync: boolean;
  sync: {
    remote: string | null;
    branch: string | null;
    base: string | null;
    prefix: string;
    pushBranches: string[];
  };
  verify: { command: string | null; timeoutSeconds: number };
  agentMayApprove: boolean;
  allowedOrigins: string[];
  logLevel: "silent" | "error" | "warn" | "info" | "debug";
}

/** `~` and relative paths as absolute ones. */
export function expandPath(path: string, home = homedir()): string {
  return resolve(path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : path);
}

/**
 * @param options as given by the user; unknown keys are refused by name
 * @param env the process environment
 * @param fromFiles what the host's configuration says, for what the options leave open
 */
export function loadConfig(
  options: unknown,
  env: Record<string, string | undefined> = process.env,
  fromFiles: () => Given = () => ({}),
): Config {
  const where = "suggestion-manager option";
  const given = check(flatten(options ?? {}, where), (name) => `${where} ${name}`);
  return configOf(given, fromFiles(), fromEnvironment(env), env);
}

function configOf(
  options: Given,
  files: Given,
  variables: Given,
  env: Record<string, string | undefined>,
): Config {
  const values = settle(options, files, variables);
  const home = env.HOME ?? homedir();
  const stateHome = env.XDG_STATE_HOME || join(home, ".local/state");
  const dataHome = env.XDG_DATA_HOME || join(home, ".local/share");
  return {
    host: values.host,
    port: values.port,
    stateDir: expandPath(values.state_dir ?? join(stateHome, "suggestion-manager"), home),
    feedbackLog: expandPath(values.feedback_log ?? join(dataHome, "opencode/feedback.jsonl"), home),
    autoSync: values.auto_sync,
    sync: {
      remote: values["sync.remote"],
      branch: values["sync.branch"],
      base: values["sync.base"],
      prefix: values["sync.prefix"],
      pushBranches: values["sync.push_branches"],
    },
    verify: { command: values["verify.command"], timeoutSeconds: values["verify.timeout_seconds"] },
    agentMayApprove: values.agent_may_approve,
    allowedOrigins: values.allowed_origins,
    logLevel: values.log_level,
  };
}
