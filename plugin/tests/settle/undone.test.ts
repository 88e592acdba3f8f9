/** The agent takes back, by jj's own undo, what a settle did: the tree is looked at, not remembered. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
afterEach(() => place.close());

async function published(init?: string[]): Promise<{ id: string; change: string }> {
  place = await deskPlace(init);
  place.edit("poem.txt", { "line 5": "FIVE", "line 25": "TWENTY-FIVE", "line 45": "FORTY-FIVE" });
  place.jj("describe", "-m", "Better poem");
  const change = place.log("@", "change_id");
  const { id } = await place.publish();
  return { id, change };
}

const operation = () => place.jj("op", "log", "--no-graph", "--limit", "1", "-T", "id");

for (const [name, init] of [
  ["in a colocated repository", ["--colocate"]],
  ["in a repository of its own", ["--no-colocate"]],
] as const) {
  test(`D19: "jj op restore" to before a settle is settled once more and told, ${name}`, async () => {
    const { id, change } = await published([...init]);
    const before = operation();
    place.reject(id, "+TWENTY-FIVE");
    await place.desk.settle({ project: place.dir }, "agent");
    place.jj("op", "restore", before);
    expect(place.file("poem.txt", change)).toContain("TWENTY-FIVE\n");
    const again = await place.desk.settle({ project: place.dir }, "agent");
    expect(again.settled).toBe(true);
    expect(place.file("poem.txt", change)).toContain("line 25\n");
    expect(place.file("poem.txt")).toContain("line 25\n");
    expect(again.feedback.join("\n")).toMatch(/settled once more|taken out once more/);
    expect(place.health()).toEqual(HEALTHY);
    // Once, not at each call.
    const third = await place.desk.settle({ project: place.dir }, "agent");
    expect(third).toMatchObject({ settled: true, feedback: [] });
  });

  test(`D19: one "jj undo" after a settle takes the settle back, and a second the agent's own operation, ${name}`, async () => {
    const { id, change } = await published([...init]);
    place.jj("describe", "-m", "mine");
    const mine = operation();
    place.reject(id, "+TWENTY-FIVE");
    await place.settle();
    // One operation in the log, whatever it took to make it.
    expect(place.jj("op", "log", "--no-graph", "--limit", "2", "-T", 'id ++ "\\n"')).toContain(mine);
    place.jj("undo");
    place.jj("undo");
    expect(place.log("@", "description")).toBe("");
    const again = await place.desk.settle({ project: place.dir }, "agent");
    expect(again.settled).toBe(true);
    expect(place.file("poem.txt", change)).toContain("line 25\n");
    expect(again.feedback.join("\n")).toContain("jj op");
    expect(place.jj("bookmark", "list", "--all")).not.toContain("suggestion-manager");
    expect(place.health()).toEqual(HEALTHY);
  });
}

test("D19: edits made to the change after the restore stay, the rejected text goes", async () => {
  const { id, change } = await published();
  const before = operation();
  place.reject(id, "+TWENTY-FIVE");
  await place.settle();
  place.jj("op", "restore", before);
  place.edit("poem.txt", { "line 55": "my own" });
  place.jj("squash");
  expect(await place.settle()).toMatchObject({ settled: true });
  const poem = place.file("poem.txt", change);
  expect(poem).toContain("my own\n");
  expect(poem).toContain("line 25\n");
  expect(poem).toContain("FIVE\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D19: a restore to before a decision was taken back brings the text back", async () => {
  const { id, change } = await published();
  place.reject(id, "+TWENTY-FIVE");
  await place.settle();
  const rejected = operation();
  place.desk.undo({ suggestion_id: id }, "developer");
  await place.settle();
  place.jj("op", "restore", rejected);
  expect(place.file("poem.txt", change)).toContain("line 25\n");
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.file("poem.txt", change)).toContain("TWENTY-FIVE\n");
});

test("D19: a restore to before a finalize is settled once more: the change goes, its commit stands", async () => {
  const { id, change } = await published();
  const before = operation();
  place.desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } }, "developer");
  await place.desk.complete({ suggestion_id: id, action: "finalize" }, "developer");
  await place.settle();
  expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).not.toContain(change);
  place.jj("op", "restore", before);
  expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).toContain(change);
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).not.toContain(change);
  expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
  expect(place.log("@-", "description")).toBe("Better poem\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D19: a publish after a restore does not offer the rejected text again", async () => {
  const { id, change } = await published();
  const before = operation();
  place.reject(id, "+TWENTY-FIVE");
  await place.settle();
  place.jj("op", "restore", before);
  place.edit("poem.txt", { "line 55": "my own" });
  place.jj("squash");
  const { hunks } = await place.publish(change);
  expect(hunks.map(({ diff }) => diff).join("")).toContain("my own");
  expect(place.file("poem.txt", change)).toContain("line 25\n");
});
