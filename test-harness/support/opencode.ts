/** A host of one user: the scripted model, `opencode serve`, and the bundled plugin in it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { demoScript } from "../../demo/script.ts";
import {
  type RecordedRequest,
  type ScriptedModel,
  startScriptedModel,
  textOf,
} from "../../demo/scripted-model.ts";
import { freePort } from "../../scripts/start/ports.ts";
import { Curl } from "./curl.ts";
import { noteTools } from "./doors.ts";
import { must, Running } from "./processes.ts";
import { ROOT, type Scene, until } from "./scene.ts";

/** Bundles the plugin into the scene: what is tested is what the sources say now, and no other run is disturbed. */
export function bundlePlugin(scene: Scene): string {
  const file = scene.path("plugin/suggestion-manager.js");
  must([
    "bun",
    "build",
    join(ROOT, "plugin/src/index.ts"),
    "--target=bun",
    "--format=esm",
    `--outfile=${file}`,
  ]);
  return file;
}

export class Host {
  private constructor(
    private readonly scene: Scene,
    private readonly project: string,
    private readonly url: string,
    readonly model: ScriptedModel,
    readonly running: Running,
    readonly curl: Curl,
    readonly reviewPort: number,
  ) {}

  /** @param model goes on with one that runs; else one with the demo's script is started */
  static async start(
    scene: Scene,
    project: string,
    options: { model?: ScriptedModel; reviewPort?: number } = {},
  ): Promise<Host> {
    const plugin = scene.path("plugin/suggestion-manager.js");
    if (!existsSync(plugin)) bundlePlugin(scene);
    let { model } = options;
    if (model === undefined) {
      model = await startScriptedModel({ script: demoScript(), log: scene.path("requests.jsonl") });
      scene.atEnd(() => model?.stop());
    }
    const reviewPort = options.reviewPort ?? (await freePort());
    const port = await freePort();
    const state = scene.path("state");
    scene.write(
      "home/.config/opencode/opencode.json",
      JSON.stringify({
        model: "scripted/scripted-1",
        small_model: "scripted/scripted-1",
        enabled_providers: ["scripted"],
        share: "disabled",
        autoupdate: false,
        lsp: false,
        formatter: false,
        provider: {
          scripted: {
            npm: "@ai-sdk/openai-compatible",
            options: { baseURL: model.url, apiKey: "none" },
            models: { "scripted-1": { tool_call: true, limit: { context: 200_000, output: 8192 } } },
          },
        },
        plugin: [
          [plugin, { port: reviewPort, state_dir: state, feedback_log: join(state, "feedback.jsonl") }],
        ],
      }),
    );
    const running = Running.start(
      scene,
      "opencode",
      ["opencode", "serve", "--port", String(port), "--print-logs"],
      {
        cwd: project,
        env: {
          ...scene.env,
          npm_config_offline: "true",
          OPENCODE_DISABLE_MODELS_FETCH: "1",
          OPENCODE_DISABLE_PROJECT_CONFIG: "1",
          OPENCODE_DISABLE_AUTOUPDATE: "1",
        },
      },
    );
    const url = `http://127.0.0.1:${port}`;
    const alive = (address: string) => () => {
      if (!running.alive) throw new Error(running.err.slice(-1500));
      // A request that comes while the host still starts may never be answered.
      return fetch(address, { signal: AbortSignal.timeout(2000) }).then((response) => response.ok);
    };
    await until("opencode answers", alive(`${url}/global/health`), 30_000);
    scene.atEnd(() => (running.alive ? noteTools(url, project) : undefined));
    // Plugins load with the first request for a directory.
    await fetch(`${url}/path?directory=${encodeURIComponent(project)}`, {
      signal: AbortSignal.timeout(20_000),
    });
    const review = `http://127.0.0.1:${reviewPort}`;
    await until("the plugin serves", alive(`${review}/health`), 30_000);
    return new Host(
      scene,
      project,
      url,
      model,
      running,
      new Curl(scene, review, join(state, "token")),
      reviewPort,
    );
  }

  async #ask<Answer>(path: string, body: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}${path}?directory=${encodeURIComponent(this.project)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  async newSession(): Promise<string> {
    return (await this.#ask<{ id: string }>("/session", {})).id;
  }

  /** Sends a prompt and waits for the end of the agent's turn. */
  async prompt(session: string, text: string): Promise<void> {
    await this.#ask(`/session/${session}/message`, { parts: [{ type: "text", text }] });
  }

  /** All messages of a session, as JSON. */
  async messages(session: string): Promise<string> {
    const path = `/session/${session}/message`;
    const response = await fetch(`${this.url}${path}?directory=${encodeURIComponent(this.project)}`);
    return response.text();
  }

  /** What the model was asked after a request, the titles left out. */
  requestsAfter(n: number): RecordedRequest[] {
    const file = this.scene.path("requests.jsonl");
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as RecordedRequest)
      .filter((request) => request.kind === "turn" && request.n > n);
  }

  get lastRequest(): number {
    return this.model.requests.length;
  }
}

/** Everything a model was shown in a request, as one text. */
export const wordsOf = ({ messages }: Pick<RecordedRequest, "messages">): string =>
  messages.map(textOf).join("\n");
