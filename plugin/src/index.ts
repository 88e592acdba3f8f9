/** The opencode plugin's entry: wiring of the host's hooks to the desk. No rule lives here. */
import type { Hooks, PluginInput, PluginModule } from "@opencode-ai/plugin";
import type { Event } from "@opencode-ai/sdk/v2";
import { CAGED, refuseLinksOut } from "./agent/links.ts";
import { SessionLink } from "./agent/session-link.ts";
import { SYSTEM_TEXT } from "./agent/system-text.ts";
import { createTools } from "./agent/tools.ts";
import { loadConfig } from "./config.ts";
import { inOpencode } from "./confinement.ts";
import { type Host, startHost } from "./process.ts";
import { toReviewError } from "./protocol/errors.ts";
import { settingsFromFiles } from "./settings-file.ts";
import { openJj } from "./vcs/jj.ts";

/** Survives reloads of this module, which opencode does after each change of its configuration. */
const KEY = Symbol.for("opencode-suggestion-manager.host");
const globals = globalThis as typeof globalThis & { [KEY]?: Promise<Host> };

function sharedHost(options: unknown, { directory, worktree }: PluginInput): Promise<Host> {
  const load = async () =>
    loadConfig(options, process.env, () => settingsFromFiles(directory, worktree, process.env));
  globals[KEY] ??= load()
    .then((config) => startHost(config))
    .then(
      (host) => {
        for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
          process.once(signal, () => void host.stop().finally(() => process.exit(0)));
        }
        return host;
      },
      (error: unknown) => {
        delete globals[KEY];
        throw error;
      },
    );
  return globals[KEY];
}

async function server(input: PluginInput, options?: Record<string, unknown>): Promise<Hooks> {
  const tell = (level: "info" | "error", message: string, extra: Record<string, unknown> = {}) =>
    void input.client.app
      // opencode 1.18 takes a service and does not write it: the extra field is what its log can be searched for.
      .log({
        body: {
          service: "suggestion-manager",
          level,
          message,
          extra: { plugin: "suggestion-manager", ...extra },
        },
      })
      .catch(() => undefined);
  try {
    // A project that jj does not know has nothing to publish from; the host's own project stays untouched.
    inOpencode();
    const jj = await openJj(input.worktree === "/" ? input.directory : input.worktree);
    const host = await sharedHost(options, input);
    const { desk, worktrees } = host;
    const worktree = worktrees.of(desk, jj.dir);
    const { gate, turns, processes } = worktree;
    const link = new SessionLink(input.client, input.directory, jj.dir, desk.ledger, worktree.activity.asks);
    const instance = await worktree.join(link);
    if (host.server !== null) {
      turns.recover();
      await desk.activity.closeDead(jj.dir, true);
    }
    const unsubscribe = desk.subscribe((event, json) => {
      if (event.project !== jj.dir || !worktree.speaks(instance)) return;
      const message =
        json.length > 32_768 ? JSON.stringify({ type: event.type, seq: event.seq, omitted: true }) : json;
      tell("info", message, { event: true, eventType: event.type });
    });
    return {
      tool: createTools(desk, jj.dir, (session) => worktree.link.rootOf(session)),
      "tool.execute.before": async ({ tool, callID, sessionID }, { args }) => {
        if (process.env[CAGED] !== undefined) refuseLinksOut(tool, args, input.directory, jj.dir);
        instance.sessions.add(sessionID);
        await gate.enter(tool, callID, sessionID);
        await worktree.link.toolStarted(callID, sessionID);
      },
      "tool.execute.after": async ({ callID }) => {
        gate.leave(callID);
        worktree.link.toolEnded(callID);
      },
      "chat.message": async ({ sessionID, agent, model, variant }, { message, parts }) =>
        link.remember(sessionID, agent ?? message.agent, model ?? message.model, variant, parts),
      "experimental.chat.system.transform": async (_, { system }) => void system.push(SYSTEM_TEXT),
      "shell.env": async ({ sessionID }, { env }) => {
        if (sessionID !== undefined) Object.assign(env, processes.environment(sessionID));
      },
      event: async ({ event }) => {
        turns.take(event);
        worktree.link.take(event);
        // The hook's type is of an older form of the host's events; these are the ones that come.
        worktree.activity.take(event as Event, link.host);
      },
      dispose: async () => {
        unsubscribe();
        await worktree.leave(instance);
      },
    };
  } catch (thrown) {
    // opencode swallows what a plugin throws and goes on without its tools: say it where it can be seen.
    const error = toReviewError(thrown);
    tell("error", error.message, { code: error.code });
    process.stderr.write(`suggestion-manager: ${error.message}\n`);
    throw error;
  }
}

export default { id: "suggestion-manager", server } satisfies PluginModule;
