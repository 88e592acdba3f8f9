/**
 * The server without opencode, for any other agent and for curl:
 *
 *     bun plugin/src/serve.ts --project DIR [--port N] [--state DIR] [--json]
 *
 * Ready is one line on standard output; everything else goes to standard error. Ends on SIGINT or SIGTERM.
 */
import { parseArgs } from "node:util";
import { loadConfig } from "./config.ts";
import { startHost } from "./host.ts";
import { ReviewError, toReviewError } from "./protocol/errors.ts";
import type { Project } from "./review/project.ts";
import { hubPath } from "./review/rows.ts";

const USAGE =
  "usage: npm run serve -- --project <jj repository> [--port N] [--state DIR] [--verify-command CMD] [--json]";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      project: { type: "string", multiple: true },
      port: { type: "string" },
      state: { type: "string" },
      "verify-command": { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(`${USAGE}\n`);
  if (values.project === undefined)
    throw new ReviewError("invalid_request", `--project: expected the path of a jj repository\n${USAGE}`);
  const config = loadConfig({
    ...(values.port === undefined ? {} : { port: values.port }),
    ...(values.state === undefined
      ? {}
      : { state_dir: values.state, feedback_log: `${values.state}/feedback.jsonl` }),
    ...(values["verify-command"] === undefined ? {} : { verify: { command: values["verify-command"] } }),
  });
  const projects: Project[] = [];
  const named = values.project;
  const host = await startHost(config, async (desk) => {
    for (const dir of named) projects.push(await desk.addProject(dir));
  });
  const [first] = projects;
  const ready = {
    url: host.url,
    token_file: host.tokenFile,
    checkout: null,
    agent_repo: first?.dir,
    remote: `${host.url}${hubPath(first?.hubName ?? "")}`,
  };
  process.stdout.write(
    values.json
      ? `${JSON.stringify(ready)}\n`
      : `serving ${projects.map((project) => project.dir).join(", ")} at ${ready.url}\ntoken: ${ready.token_file}\nremote: ${ready.remote}\n`,
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void host.stop().finally(() => process.exit(0)));
  }
}

main().catch((thrown: unknown) => {
  process.stderr.write(`suggestion-manager: ${toReviewError(thrown).message}\n`);
  process.exit(1);
});
