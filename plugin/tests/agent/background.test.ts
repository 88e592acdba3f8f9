/** What the agent's commands leave running: a settle holds beside it, and an abort ends what its turn has started. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentPlace, bash } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";

setDefaultTimeout(300_000);
// Skipped where opencode is not provisioned; where CI is set that fails the run.
const skip = missingOpencode() !== null;

let place: AgentPlace | undefined;
const ends: (() => void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await place?.close();
  place = undefined;
});

/** Appends a mark to a file of the project each 10 ms, until the file `stop` exists; counts in `count`. */
function writeWriter(at: AgentPlace, name: string): string {
  const { root, field } = at;
  const script = join(root, `${name}.sh`);
  writeFileSync(
    script,
    `n=0\nwhile [ ! -e ${root}/stop ]; do n=$((n+1)); echo "mark $n" >> ${field.dir}/p0.txt; echo $n > ${root}/${name}.count; sleep 0.01; done\n`,
  );
  ends.push(() => writeFileSync(join(root, "stop"), ""));
  return script;
}

const count = (at: AgentPlace, name: string): number => {
  const path = join(at.root, `${name}.count`);
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
};

const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
};

test.skipIf(skip)(
  "D13: a settle holds beside a process of the agent's that writes each 10 ms, without an error",
  async () => {
    place = await AgentPlace.open();
    await place.publish();
    const script = writeWriter(place, "writer");
    place.when("begin", bash(`nohup setsid sh ${script} > /dev/null 2>&1 &`));
    await place.prompt("begin");
    await until("it writes", () => count(place as AgentPlace, "writer") > 5);
    for (let index = 0; index < 4; index++) {
      await place.reject(`H 0.${index}`);
      await until("it is settled", () => place?.published("p0.txt").includes(`\nline 0.${index}\n`) === true);
    }
    expect(await place.errors()).toEqual([]);
    // It was only held, and nothing of what it wrote is lost.
    const before = count(place, "writer");
    await until("it goes on writing", () => count(place as AgentPlace, "writer") > before + 5);
    writeFileSync(join(place.root, "stop"), "");
    const last = count(place, "writer");
    const file = place.file("p0.txt");
    for (let mark = 1; mark <= last; mark++) expect(file).toContain(`mark ${mark}\n`);
  },
);

test.skipIf(skip)(
  "D13: beside a writer that cannot be known it is told once, and holds as soon as it can",
  async () => {
    place = await AgentPlace.open();
    await place.publish();
    const script = writeWriter(place, "hidden");
    // Without its environment, and no child of anything of the agent's.
    const child = Bun.spawn(["env", "-i", "PATH=/usr/bin:/bin", "sh", script], {
      stdout: "ignore",
      stderr: "ignore",
    });
    ends.push(() => child.kill());
    await until("it writes", () => count(place as AgentPlace, "hidden") > 5);
    for (let index = 0; index < 3; index++) await place.reject(`H 0.${index}`);
    const notices = async () =>
      (await place?.statuses("settling"))?.filter((message) => /kept changing/.test(message)) ?? [];
    await until(
      "it is told, or held",
      async () =>
        (await notices()).length > 0 || place?.published("p0.txt").includes("\nline 0.2\n") === true,
    );
    writeFileSync(join(place.root, "stop"), "");
    await until("it is settled", () => place?.published("p0.txt").includes("\nline 0.2\n") === true);
    expect(await place.errors()).toEqual([]);
    expect((await notices()).length).toBeLessThanOrEqual(1);
  },
);

for (const [name, command] of [
  ["setsid", "setsid sh -c 'echo $$ > ROOT/pid; exec sleep 300' > /dev/null 2>&1 &"],
  ["nohup in a subshell", "( nohup sh -c 'echo $$ > ROOT/pid; exec sleep 300' > /dev/null 2>&1 & )"],
  [
    "its environment cleaned",
    "setsid sh -c 'sleep 2; exec env -i /bin/sh -c \"echo \\$\\$ > ROOT/pid; trap : TERM; while :; do /bin/sleep 1; done\"' > /dev/null 2>&1 &",
  ],
] as const) {
  test.skipIf(skip)(`D20: an abort ends what the turn has detached from itself (${name})`, async () => {
    place = await AgentPlace.open();
    await place.publish();
    const { root } = place;
    // Of an earlier turn: that is not this turn's to end.
    place.when("before", bash(`setsid sh -c 'echo $$ > ${root}/earlier; exec sleep 300' > /dev/null 2>&1 &`));
    await place.prompt("before");
    const pidOf = (file: string) => Number(readFileSync(join(root, file), "utf8").trim());
    await until("the earlier one runs", () => pidOf("earlier") > 0);
    const earlier = pidOf("earlier");
    ends.push(() => isAlive(earlier) && process.kill(earlier, "SIGKILL"));
    place.when("work", bash(`${command.replaceAll("ROOT", root)}\nwhile :; do sleep 0.1; done`));
    await place.begin("work");
    await until("the detached one runs", () => pidOf("pid") > 0);
    const pid = pidOf("pid");
    ends.push(() => isAlive(pid) && process.kill(pid, "SIGKILL"));
    expect(isAlive(pid)).toBe(true);
    const { status } = await place.opencode.desk("/abort", {});
    expect(status).toBe(200);
    await until("it has ended", () => !isAlive(pid));
    expect(isAlive(earlier)).toBe(true);
  });
}
