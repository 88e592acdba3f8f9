/** The opencode plugin's entry: wiring of the host's hooks to the desk. No rule lives here. */
import type { Hooks, PluginInput, PluginModule } from "@opencode-ai/plugin";
import type { Event } from "@opencode-ai/sdk/v2";
import { CAGED, refuseLinksOut } from "./agent/links.ts";
import { SessionLink } from "./agent/session-link.ts";
import { systemText } from "./agent/system-text.ts";
import { createTools } from "./agent/tools.ts";
import { loadConfig } from "./config.ts";
import { inOpencode } from "./confinement.ts";
import { type Host, startHost } from "./process.ts";
import { toReviewError } from "./protocol/errors.ts";
import { CALL } from "./review/tell/commands.ts";
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
    const place = { directory: input.directory, worktree: jj.dir, host: link.host, rules: link.rules };
    const isCaged = process.env[CAGED] !== undefined;
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
        const came = Date.now();
        const vet = (given: unknown) => {
          if (isCaged) refuseLinksOut(tool, given, input.directory, jj.dir);
        };
        worktree.refused.looking(tool, args, () => vet(args));
        instance.sessions.add(sessionID);
        // Who asks in a process without the port is answered by nobody here: the host asks by itself.
        if (host.server !== null) {
          const call = { tool, session: sessionID, call: callID, arguments: args };
          await worktree.approvals.before(call, { ...place, vet });
        }
        // As it runs, which may not be as it came.
        if (tool === "bash" && typeof args.command === "string")
          desk.commands.beginCall(`${sessionID}/${callID}`, args.command);
        await gate.enter(tool, callID, sessionID, came);
        await worktree.link.toolStarted(callID, sessionID);
        // Last: what it finds is what the call finds.
        const begun = { tool, session: sessionID, call: callID, arguments: args };
        await worktree.memory.begin(begun, input.directory);
      },
      "tool.execute.after": async ({ callID, sessionID }, result) => {
        await worktree.memory.end(sessionID, callID, exitOf(result));
        worktree.approvals.after(sessionID, callID, result);
        gate.leave(callID, sessionID);
        worktree.link.toolEnded(callID, sessionID);
      },
      "chat.message": async ({ sessionID, agent, model, variant }, { message, parts }) =>
        link.remember(sessionID, agent ?? message.agent, model ?? message.model, variant, parts),
      "experimental.chat.system.transform": async (_, { system }) => void system.push(systemText("told")),
      "shell.env": async ({ sessionID, callID }, { env }) => {
        if (sessionID !== undefined) Object.assign(env, processes.environment(sessionID));
        const number = desk.commands.numberOfCall(`${sessionID}/${callID}`);
        if (number !== null) env[CALL] = number;
      },
      event: async ({ event }) => {
        worktree.memory.take(event);
        turns.take(event);
        worktree.link.take(event);
        // The hook's type is of an older form of the host's events; these are the ones that come.
        worktree.activity.take(event as Event, link.host);
        worktree.approvals.take(event as Event);
        if (isCaged) worktree.refused.take(event as Event, place);
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

/** Of a command, where the host says so. */
function exitOf({ metadata }: { metadata?: unknown }): number | null {
  const exit = (metadata as { exit?: unknown } | undefined)?.exit;
  return typeof exit === "number" && Number.isSafeInteger(exit) ? exit : null;
}

export default { id: "suggestion-manager", server } satisfies PluginModule;
