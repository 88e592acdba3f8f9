/** `npm run sandbox`: sets up, takes down, shows and tries the agent's sandbox of a repository. */
import { parseArgs } from "node:util";
import { forgetForeignRepositories } from "../../plugin/src/vcs/environment.ts";
import { doctor } from "./doctor.ts";
import { runProgram, StartError } from "./report.ts";
import { down } from "./sandbox-down.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { shell } from "./sandbox-shell.ts";
import { status } from "./sandbox-status.ts";
import { up } from "./sandbox-up.ts";

const COMMANDS: Record<string, { help: string; run(options: SandboxOptions): Promise<number> }> = {
  up: { help: "makes the agent's user, folders, tools, clone and rings for a repository", run: up },
  down: { help: "removes them again; the repository stays", run: down },
  status: { help: "says what there is, and what of it runs", run: status },
  shell: { help: "runs commands where the agent's run: the one behind --, or those you type", run: shell },
  doctor: { help: "tries from inside what must not be reached, and says what protects you", run: doctor },
};

const USAGE = `usage: npm run sandbox -- <command> [<repository>] [options] [-- <command>]

${Object.entries(COMMANDS)
  .map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`)
  .join("\n")}

  --dry-run              up, down: say what would be changed, and change nothing
  --yes                  down: do it without asking
  --delete-unpublished   down: also where the agent has work that you have not got
  --same-user            up: as this user, even if a separate user is possible
  --show FOLDER          shell, doctor: a folder that commands may read; may be repeated

npm start does what up does, and starts opencode and the review.
`;

async function main(): Promise<number> {
  const all = process.argv.slice(2);
  const behind = all.indexOf("--");
  const { values, positionals } = parseArgs({
    args: behind < 0 ? all : all.slice(0, behind),
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      "dry-run": { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
      "delete-unpublished": { type: "boolean", default: false },
      "same-user": { type: "boolean", default: false },
      show: { type: "string", multiple: true, default: [] as string[] },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [name = "", repository = null, ...more] = positionals;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined)
    throw new StartError(`expected one of ${Object.keys(COMMANDS).join(", ")}, got "${name}"\n\n${USAGE}`, 2);
  if (more.length > 0) throw new StartError(`expected one repository, got also ${more.join(", ")}`, 2);
  return command.run({
    repository,
    command: behind < 0 ? [] : all.slice(behind + 1),
    dryRun: values["dry-run"],
    yes: values.yes,
    deleteUnpublished: values["delete-unpublished"],
    sameUser: values["same-user"],
    show: values.show,
  });
}

forgetForeignRepositories();
await runProgram("sandbox", USAGE, main);
