/** The server without opencode, as `npm run serve` runs it. */
import { join } from "node:path";
import { Curl } from "./curl.ts";
import { Running } from "./processes.ts";
import { ROOT, type Scene } from "./scene.ts";

export interface ReadyLine {
  url: string;
  token_file: string;
  checkout: string | null;
  agent_repo: string;
  remote: string;
}

export interface Served {
  ready: ReadyLine;
  curl: Curl;
  running: Running;
  port: number;
}

/** @param port 0 for a free one */
export async function serve(
  scene: Scene,
  project: string,
  port = 0,
  state = scene.path("state"),
): Promise<Served> {
  const argv = [
    "bun",
    join(ROOT, "plugin/src/serve.ts"),
    "--project",
    project,
    "--port",
    String(port),
    "--state",
    state,
    "--json",
  ];
  const running = Running.start(scene, "serve", argv);
  const ready = await running.readyLine<ReadyLine>();
  return {
    ready,
    curl: new Curl(scene, ready.url, ready.token_file),
    running,
    port: Number(new URL(ready.url).port),
  };
}
