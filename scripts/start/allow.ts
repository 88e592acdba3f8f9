/** `npm run sandbox -- allow|deny|list`: the developer's word on what the agent may reach, which counts at once. */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { forgetForeignRepositories } from "../../plugin/src/vcs/environment.ts";
import {
  allowing,
  denying,
  ListError,
  readDefaults,
  readRules,
  rulesText,
} from "../../sandbox/network/list.ts";
import { type Entry, entryText, judge, parseEntry, type Rules } from "../../sandbox/network/rules.ts";
import { findDeveloper, type Identity, writeAs } from "./identity.ts";
import { networkFiles } from "./network.ts";
import { type DeveloperPlace, developerPlace, readState, runRecords } from "./places.ts";
import { isAlive } from "./processes.ts";
import { reachOf } from "./reachable.ts";
import { refusedSoFar } from "./refused-list.ts";
import { runProgram, StartError, say } from "./report.ts";
import { allDirs, placeOfRepository } from "./sandbox-place.ts";

const USAGE = `usage: npm run sandbox -- allow HOST[:PORT] … [--project FOLDER]
       npm run sandbox -- deny HOST[:PORT] … [--project FOLDER]
       npm run sandbox -- list [--project FOLDER]

What the agent's commands, and opencode, may reach on the network, project by project. It counts at once, for new connections.
HOST is a name, "*." and a name (whatever is below it), or an address; without PORT it is allowed on 80 and 443, and
denied on every port. What you deny is denied whatever else allows it.

  --project FOLDER  your repository; without it, the one that runs, or the only one there is
`;

const VERBS = ["allow", "deny", "list"] as const;

async function placeOf(project: string | undefined, developer: Identity): Promise<DeveloperPlace> {
  if (project !== undefined) {
    const place = await placeOfRepository(project, developer);
    if (readState(place) === null)
      throw new StartError(`--project: nothing was started on ${place.checkout} yet`, 2);
    return place;
  }
  const running = runRecords().filter(({ run }) => isAlive(run.launcher));
  const all = allDirs().map((dir) => developerPlace(dir));
  const known =
    running.length > 0 ? running.map(({ place }) => place) : all.filter((one) => readState(one) !== null);
  const [only] = known;
  if (only === undefined) throw new StartError("There is no project yet: npm start makes one", 2);
  if (known.length > 1)
    throw new StartError(
      `There are ${known.length} projects: say which with --project (${known.map(nameOf).join(", ")})`,
      2,
    );
  return only;
}

const nameOf = (place: DeveloperPlace) => readState(place)?.checkout ?? place.dir;

async function change(verb: "allow" | "deny", hosts: string[], rules: Rules): Promise<Rules> {
  let result = rules;
  for (const text of hosts) {
    const parsed = parseEntry(text);
    if (typeof parsed === "string") throw new StartError(`${verb}: ${parsed}`, 2);
    if (verb === "deny") {
      result = denying(result, { ...parsed, reach: [] });
      say(`denied ${entryText(parsed)}`);
      continue;
    }
    const reach = parsed.host.startsWith("*.") ? [] : await reachOf(parsed.host);
    result = allowing(result, { ...parsed, reach });
    say(
      reach.length === 0
        ? `allowed ${entryText(parsed)}`
        : `allowed ${entryText(parsed)}, which now leads to a ${reach.join(" and a ")} address: that is allowed with it`,
    );
    if (isDenied(result, parsed)) say(`but a denial is stronger: ${deniedBy(result, parsed)}`);
  }
  return result;
}

const isDenied = (rules: Rules, { host, port }: Pick<Entry, "host" | "port">) => {
  const verdict = judge(rules, host.replace(/^\*\./, "x."), port ?? 443);
  return "refused" in verdict && verdict.refused === "denied";
};
const deniedBy = (rules: Rules, entry: Pick<Entry, "host" | "port">) =>
  rules.deny
    .filter((one) => isDenied({ allow: [], deny: [one] }, entry))
    .map(entryText)
    .join(", ");

async function list(place: DeveloperPlace, developer: Identity): Promise<string> {
  const files = networkFiles(place);
  const rules = readRules(files.rules);
  const defaults = readDefaults(files.defaults);
  const section = (title: string, entries: readonly Entry[]) =>
    `${title}\n${entries.length === 0 ? "  (nothing)" : entries.map((one) => `  ${entryText(one)}`).join("\n")}\n`;
  return [
    `${nameOf(place)}\n`,
    section(
      "allowed from the start, by this machine's npm and apt and the repository's remotes:",
      defaults.command ?? [],
    ),
    section("allowed by you:", rules.allow),
    section("denied by you:", rules.deny),
    `refused so far:\n${await refusedSoFar(place, developer)}\n`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { project: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
  });
  const [given, ...hosts] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const verb = VERBS.find((one) => one === given);
  if (verb === undefined || (verb === "list") !== (hosts.length === 0))
    throw new StartError(USAGE.trimEnd(), 2);
  const developer = findDeveloper();
  const place = await placeOf(values.project, developer);
  if (!existsSync(place.dir)) throw new StartError(`${place.dir} is not there`);
  if (verb === "list") {
    process.stdout.write(await list(place, developer));
    return 0;
  }
  const { rules: path } = networkFiles(place);
  await writeAs(developer, path, rulesText(await change(verb, hosts, readRules(path))));
  return 0;
}

forgetForeignRepositories();
await runProgram("sandbox", USAGE, () =>
  main().catch((error) => {
    throw error instanceof ListError
      ? new StartError(`${error.message}: put it right, or move it away`)
      : error;
  }),
);
