/**
 * Settings, read once at start: plugin options over environment over defaults. A bad value is refused by name
 * rather than replaced by a default.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ReviewError } from "./protocol/errors.ts";

/** A branch name; only a `*` at its end is a wildcard. Git's own rules for names are left to git. */
const BranchPattern = z
  .string()
  .regex(/^(?!refs\/)[^\s*?[\\^~:]*\*?$/, "expected a branch name such as main or topic/*")
  .min(1);

const Port = z.coerce.number().int().min(0).max(65535);

/** Options as a user writes them, in opencode's plugin tuple or under `suggestion_manager`. All optional. */
export const Options = z.strictObject({
  host: z.string().min(1).optional().describe("Address to bind; default 127.0.0.1"),
  port: Port.optional().describe("Port of the HTTP and WebSocket server; default 4097; 0 picks a free one"),
  state_dir: z
    .string()
    .min(1)
    .optional()
    .describe("Ledger, hubs and token hashes; default $XDG_STATE_HOME/suggestion-manager"),
  feedback_log: z
    .string()
    .min(1)
    .optional()
    .describe("JSONL log of all feedback; default $XDG_DATA_HOME/opencode/feedback.jsonl"),
  auto_sync: z.boolean().optional().describe("Finalize as soon as every hunk is decided; default false"),
  sync: z
    .strictObject({
      remote: z
        .string()
        .min(1)
        .optional()
        .describe("URL or path of the shared repository to push to; default: the server's own hub"),
      branch: z
        .string()
        .min(1)
        .optional()
        .describe("Push finalized commits to this branch; default: one bookmark per suggestion"),
      base: z
        .string()
        .min(1)
        .optional()
        .describe("The shared branch that suggestions are based on; default: the hub's HEAD"),
      prefix: z.string().min(1).optional().describe("Prefix of the bookmarks; default suggestions/"),
      push_branches: z
        .array(BranchPattern)
        .optional()
        .describe(
          'Branches of the hub the developer may push to over HTTP, such as "main" or "topic/*"; default all',
        ),
    })
    .optional(),
  verify: z
    .strictObject({
      command: z
        .string()
        .min(1)
        .optional()
        .describe("Shell command run on the accepted-only tree before finalize"),
      timeout_seconds: z.number().int().min(1).max(86_400).optional().describe("default 600"),
    })
    .optional(),
  agent_may_approve: z
    .boolean()
    .optional()
    .describe("Whether the agent's own tools may decide hunks; default false"),
  allowed_origins: z
    .array(z.string())
    .optional()
    .describe("Origins a browser may connect from; default none"),
  log_level: z.enum(["silent", "error", "warn", "info", "debug"]).optional().describe("default info"),
});
export type Options = z.infer<typeof Options>;

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
 */
export function loadConfig(options: unknown, env: Record<string, string | undefined> = process.env): Config {
  const raw = options ?? {};
  const parsed = Options.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ReviewError(
      "invalid_request",
      `suggestion-manager option ${issue?.path.join(".") || "(options)"}: ${issue?.message ?? "not valid"}`,
    );
  }
  const given = parsed.data;
  const home = env.HOME ?? homedir();
  const envPort = env.SUGGESTION_MANAGER_PORT;
  const port = Port.safeParse(given.port ?? (envPort === undefined || envPort === "" ? 4097 : envPort));
  if (!port.success) {
    throw new ReviewError(
      "invalid_request",
      `SUGGESTION_MANAGER_PORT: expected a port from 0 to 65535, got "${envPort}"`,
    );
  }
  const stateHome = env.XDG_STATE_HOME || join(home, ".local/state");
  const dataHome = env.XDG_DATA_HOME || join(home, ".local/share");
  return {
    host: given.host ?? (env.SUGGESTION_MANAGER_HOST || "127.0.0.1"),
    port: port.data,
    stateDir: expandPath(
      given.state_dir ?? env.SUGGESTION_MANAGER_STATE ?? join(stateHome, "suggestion-manager"),
      home,
    ),
    feedbackLog: expandPath(given.feedback_log ?? join(dataHome, "opencode/feedback.jsonl"), home),
    autoSync: given.auto_sync ?? false,
    sync: {
      remote: given.sync?.remote ?? null,
      branch: given.sync?.branch ?? null,
      base: given.sync?.base ?? null,
      prefix: given.sync?.prefix ?? "suggestions/",
      pushBranches: given.sync?.push_branches ?? ["*"],
    },
    verify: { command: given.verify?.command ?? null, timeoutSeconds: given.verify?.timeout_seconds ?? 600 },
    agentMayApprove: given.agent_may_approve ?? false,
    allowedOrigins: given.allowed_origins ?? [],
    logLevel: given.log_level ?? "info",
  };
}
