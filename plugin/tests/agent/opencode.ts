/** A real opencode with this plugin and a scripted model, in directories of its own. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Script } from "../../../demo/model/script.ts";
import { type ScriptedModel, startScriptedModel } from "../../../demo/scripted-model.ts";
import { freePort } from "../../../scripts/start/ports.ts";
import { noteTools } from "../../../test-harness/support/doors.ts";

const ROOT = join(import.meta.dir, "../../..");

/** Null when it can be run, else why not. */
export function missingOpencode(): string | null {
  return Bun.which("opencode") === null ? "opencode is not on PATH" : null;
}

export interface Opencode {
  /** Base URL of the agent host. */
  url: string;
  /** Base URL of the plugin's own server. */
  review: string;
  pid: number;
  model: ScriptedModel;
  call<Answer>(path: string, body?: unknown, method?: string): Promise<Answer>;
  desk<Answer>(path: string, body?: unknown): Promise<{ status: number; body: Answer }>;
  /** SIGKILL, at once. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

let built = false;

/** The plugin as it is shipped: one file. */
async function bundle(to: string): Promise<string> {
  if (!built) {
    const result = await Bun.build({
      entrypoints: [join(ROOT, "plugin/src/index.ts")],
      target: "bun",
      format: "esm",
      outdir: to,
      naming: "plugin-test.js",
    });
    if (!result.success) throw new Error(result.logs.join("\n"));
    built = true;
  }
  return join(to, "plugin-test.js");
}

/** Nothing is asked. */
const ALLOWED = { edit: "allow", bash: "allow", webfetch: "deny", external_directory: "allow" };

/** The host's own: the scripted model, and nothing that fetches; beside it what is given. */
export const configuration = (model: string, permission: object, more: object): object => ({
  model: "scripted/scripted-1",
  small_model: "scripted/scripted-1",
  enabled_providers: ["scripted"],
  share: "disabled",
  autoupdate: false,
  lsp: false,
  formatter: false,
  permission,
  provider: {
    scripted: {
      npm: "@ai-sdk/openai-compatible",
      options: { baseURL: model, apiKey: "none" },
      models: {
        "scripted-1": { tool_call: true, reasoning: true, limit: { context: 2_000_000, output: 8192 } },
        "scripted-2": {
          name: "The other",
          tool_call: true,
          limit: { context: 100_000, output: 8192 },
          variants: { high: { reasoningEffort: "high" } },
        },
      },
    },
  },
  ...more,
});

/** Of a host that keeps to a home of its own and fetches nothing. */
export const environment = (home: string): Record<string, string | undefined> => ({
  ...process.env,
  HOME: home,
  XDG_CONFIG_HOME: join(home, ".config"),
  XDG_DATA_HOME: join(home, ".local/share"),
  XDG_STATE_HOME: join(home, ".local/state"),
  XDG_CACHE_HOME: join(home, ".cache"),
  npm_config_offline: "true",
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  OPENCODE_DISABLE_PROJECT_CONFIG: "1",
});

/**
 * @param dir the agent's repository; `root` holds everything else
 * @param settings further options of the plugin
 * @param permission the host's own configuration of what it asks
 */
export async function startOpencode(
  root: string,
  dir: string,
  script: Script,
  settings: object = {},
  permission: object = ALLOWED,
): Promise<Opencode> {
  const home = join(root, "home");
  mkdirSync(join(home, ".config/opencode"), { recursive: true });
  const plugin = join(root, "plugin.js");
  cpSync(await bundle(join(ROOT, "plugin/dist")), plugin);
  const model = await startScriptedModel({ script });
  const [port, reviewPort] = [await freePort(), await freePort()];
  const state = join(root, "state");
  const options = {
    port: reviewPort,
    state_dir: state,
    feedback_log: join(root, "feedback.jsonl"),
    ...settings,
  };
  writeFileSync(
    join(home, ".config/opencode/opencode.json"),
    JSON.stringify(configuration(model.url, permission, { plugin: [[plugin, options]] })),
  );
  const query = `directory=${encodeURIComponent(dir)}`;
  let child: ReturnType<typeof Bun.spawn> | undefined;
  const url = `http://127.0.0.1:${port}`;
  const opencode: Opencode = {
    url,
    review: `http://127.0.0.1:${reviewPort}`,
    pid: 0,
    model,
    async call<Answer>(path: string, body?: unknown, method = body === undefined ? "GET" : "POST") {
      const response = await fetch(`${url}${path}${path.includes("?") ? "&" : "?"}${query}`, {
        method,
        headers: { "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(600_000),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
      return (text === "" ? null : JSON.parse(text)) as Answer;
    },
    async desk<Answer>(path: string, body?: unknown) {
      const token = (await Bun.file(join(state, "token")).text()).trim();
      const response = await fetch(`${opencode.review}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Answer };
    },
    async start() {
      child = Bun.spawn(["opencode", "serve", "--port", String(port), "--print-logs"], {
        cwd: dir,
        env: environment(home),
        stdout: Bun.file(join(root, "opencode.out")),
        stderr: Bun.file(join(root, "opencode.log")),
      });
      opencode.pid = child.pid;
      await until(
        "opencode answers",
        async () => (await fetch(`${url}/global/health`, { signal: AbortSignal.timeout(2000) })).ok,
      );
      await opencode.call("/path");
      await until(
        "the plugin's server answers",
        async () =>
          existsSync(join(state, "token")) &&
          (await fetch(`${opencode.review}/health`, { signal: AbortSignal.timeout(2000) })).ok,
      );
      await until("the project is open", async () => (await opencode.desk("/suggestions")).status === 200);
    },
    async kill() {
      child?.kill("SIGKILL");
      await child?.exited;
    },
    async stop() {
      await noteTools(url, dir).catch(() => undefined);
      child?.kill("SIGTERM");
      const ended = await Promise.race([child?.exited.then(() => true), Bun.sleep(3000).then(() => false)]);
      if (!ended) await opencode.kill();
      await model.stop();
    },
  };
  await opencode.start();
  return opencode;
}

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  patience = 60_000,
): Promise<void> {
  const end = Date.now() + patience;
  for (;;) {
    try {
      if (await holds()) return;
    } catch {
      // Not yet.
    }
    if (Date.now() > end) throw new Error(`waited ${patience / 1000} s for: ${what}`);
    await Bun.sleep(50);
  }
}
