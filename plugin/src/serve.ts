/**
 * The server without opencode, for any other agent and for curl:
 *
 *     bun plugin/src/serve.ts --project DIR [--json] [a flag for every option of the server]
 *
 * Ready is one line on standard output; everything else goes to standard error. Ends on SIGINT, SIGTERM or SIGHUP, and
 * with `--lifeline-fd N` when that inherited pipe reads its end: a launcher that is killed sends no signal.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadConfig } from "./config.ts";
import { flagHelp, flags, fromFlags, nest } from "./options.ts";
import { DamagedStateError, type Host, startHost } from "./process.ts";
import { ReviewError, toReviewError } from "./protocol/errors.ts";
import type { Desk } from "./review/desk.ts";
import { hubPath } from "./review/ledger/suggestion-rows.ts";
import type { Project } from "./vcs/project.ts";

const USAGE = `usage: npm run serve -- --project <jj repository> [--json] [options]

  --project DIR                    the agent's jj repository; may be repeated
  --moved-from DIR                 the place that the project was at before it was moved
  --json                           one line of JSON when ready
${flagHelp()}
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      project: { type: "string", multiple: true },
      "moved-from": { type: "string" },
      ...flags(),
      "lifeline-fd": { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values.project === undefined)
    throw new ReviewError("invalid_request", `--project: expected the path of a jj repository\n${USAGE}`);
  const lifeline = lifelineFd(values["lifeline-fd"]);
  const given = fromFlags(values);
  const config = loadConfig({
    // What belongs to a state directory of its own stays in it.
    ...(given.state_dir === undefined ? {} : { feedback_log: `${given.state_dir}/feedback.jsonl` }),
    ...nest(given),
  });
  let host: Host | null = null;
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    void (host?.stop() ?? Promise.resolve()).finally(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  if (lifeline !== null) void endOf(lifeline).then(end);
  const projects: Project[] = [];
  const named = values.project;
  host = await startHost(config, async (desk) => {
    if (values["moved-from"] !== undefined) await moved(desk, values["moved-from"], named);
    if (named.length === 1) return void projects.push(await desk.addProject(named[0] as string));
    for (const dir of named) {
      const project = await desk.tryProject(dir);
      if (project !== null) projects.push(project);
    }
    if (projects.length === 0)
      throw new ReviewError("not_found", `--project: none can be served\n${desk.problems().join("\n")}`);
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
}

/** @throws ReviewError when it is not clear which project is at a new place */
async function moved(desk: Desk, from: string, named: string[]): Promise<void> {
  const [to, ...more] = named;
  if (to === undefined || more.length > 0)
    throw new ReviewError("invalid_request", "--moved-from: expected exactly one --project, the new place");
  await desk.moveProject(resolve(from), to);
}

/** @throws ReviewError when it is not a number, since the server would then never learn of its launcher's end */
function lifelineFd(value: string | undefined): number | null {
  if (value === undefined) return null;
  if (/^\d{1,4}$/.test(value)) return Number(value);
  throw new ReviewError(
    "invalid_request",
    "--lifeline-fd: expected the number of an inherited file descriptor",
  );
}

/** Settles when nobody holds the other end any more; at once when there is no such descriptor. */
async function endOf(fd: number): Promise<void> {
  try {
    for await (const _ of Bun.file(fd).stream());
  } catch {
    // Closed by the other side in the middle, or never open: either way there is nobody to serve.
  }
}

main().catch((thrown: unknown) => {
  process.stderr.write(`suggestion-manager: ${toReviewError(thrown).message}\n`);
  // The server that says so to whoever asks stays until it is ended.
  if (thrown instanceof DamagedStateError && thrown.server !== null) return;
  process.exit(1);
});
