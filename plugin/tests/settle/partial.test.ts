/** A decision that cannot be brought into the agent's change keeps no other decision waiting, and the agent is told which is which. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
afterEach(() => place.close());

/** A change with hunks at lines 5, 25 and 45 of the poem and at line 3 of another file. */
async function published(): Promise<{ id: string; change: string }> {
  place = await deskPlace();
  place.edit("poem.txt", { "line 5": "FIVE", "line 25": "TWENTY-FIVE", "line 45": "FORTY-FIVE" });
  place.edit("other.txt", { "line 3": "THREE" });
  place.jj("describe", "-m", "Better poem");
  const change = place.log("@", "change_id");
  const { id } = await place.publish();
  return { id, change };
}

const feedback = async () => {
  const { feedback: texts } = await place.desk.settle({ project: place.dir }, "agent");
  return texts.join("\n");
};

test("D7: a conflict in one hunk leaves the others of its file and of other files settled", async () => {
  const { id, change } = await published();
  place.jj("edit", change);
  place.edit("poem.txt", { "TWENTY-FIVE": "twenty-five, reworded" });
  place.jj("new");
  for (const text of ["FIVE\n", "TWENTY-FIVE", "FORTY-FIVE", "THREE"]) place.reject(id, `+${text}`);
  const { settled, message } = await place.settle();
  expect(settled).toBe(false);
  expect(message).toContain("poem.txt");
  const poem = place.file("poem.txt", change);
  expect(poem).toContain("line 5\n");
  expect(poem).toContain("line 45\n");
  expect(poem).toContain("twenty-five, reworded\n");
  expect(place.file("other.txt", change)).toContain("line 3\n");
  expect(place.file("poem.txt")).toBe(poem);
  expect(place.health()).toEqual(HEALTHY);
});

test("D7: the agent is told what was not taken out, where it is, and that the rest was", async () => {
  const { id, change } = await published();
  place.jj("edit", change);
  place.edit("poem.txt", { "TWENTY-FIVE": "twenty-five, reworded" });
  place.jj("new");
  place.reject(id, "+TWENTY-FIVE");
  place.reject(id, "+FORTY-FIVE");
  const told = await feedback();
  expect(told).toMatch(/not taken out[^\n]*"poem\.txt" at line 25/i);
  expect(told).not.toMatch(/not taken out[^\n]*line 45/i);
  expect(told).not.toMatch(/line 25: rejected: it is taken out/);
  expect(told).toMatch(/line 45: rejected: it is taken out/);
  expect(told).toContain(change.slice(0, 12));
});

test("D7: a child that builds on one rejected hunk holds up that hunk alone", async () => {
  const { id, change } = await published();
  place.edit("poem.txt", { "TWENTY-FIVE": "the child's" });
  place.reject(id, "+TWENTY-FIVE");
  place.reject(id, "+FIVE\n");
  place.reject(id, "+THREE");
  const { settled, message } = await place.settle();
  expect(settled).toBe(false);
  expect(message).toContain("poem.txt");
  expect(place.file("poem.txt")).toContain("the child's\n");
  expect(place.file("poem.txt")).toContain("line 5\n");
  expect(place.file("poem.txt", change)).toContain("TWENTY-FIVE\n");
  expect(place.file("other.txt", change)).toContain("line 3\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D7: what was held up is taken out once the agent has made room, and nothing of its own is", async () => {
  const { id, change } = await published();
  place.jj("edit", change);
  place.edit("poem.txt", { "TWENTY-FIVE": "twenty-five, reworded", "line 50": "my own" });
  place.jj("new");
  place.reject(id, "+TWENTY-FIVE");
  place.reject(id, "+FORTY-FIVE");
  await place.settle();
  place.jj("edit", change);
  place.edit("poem.txt", { "twenty-five, reworded": "TWENTY-FIVE" });
  place.jj("new");
  expect(await place.settle()).toMatchObject({ settled: true });
  const poem = place.file("poem.txt", change);
  expect(poem).toContain("line 25\n");
  expect(poem).toContain("line 45\n");
  expect(poem).toContain("my own\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D7: a decision taken back while another is held up comes back as it was", async () => {
  const { id, change } = await published();
  place.jj("edit", change);
  place.edit("poem.txt", { "TWENTY-FIVE": "twenty-five, reworded" });
  place.jj("new");
  place.reject(id, "+TWENTY-FIVE");
  place.reject(id, "+FORTY-FIVE");
  await place.settle();
  place.desk.undo({ suggestion_id: id }, "developer");
  await place.settle();
  expect(place.file("poem.txt", change)).toContain("FORTY-FIVE\n");
  place.desk.undo({ suggestion_id: id }, "developer");
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.file("poem.txt", change)).toContain("twenty-five, reworded\n");
});

test("D7: a created file that the agent edited stays, the rest of a discarded suggestion goes", async () => {
  place = await deskPlace();
  place.write("made.txt", "one\ntwo\n");
  place.edit("poem.txt", { "line 5": "FIVE" });
  place.jj("describe", "-m", "Better poem");
  const change = place.log("@", "change_id");
  const { id } = await place.publish();
  place.jj("edit", change);
  place.write("made.txt", "one\ntwo, reworded\n");
  place.jj("new");
  await place.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
  const { settled, message } = await place.settle();
  expect(settled).toBe(false);
  expect(message).toContain("made.txt");
  expect(place.file("made.txt")).toBe("one\ntwo, reworded\n");
  expect(place.file("poem.txt")).toContain("line 5\n");
  expect(place.health()).toEqual(HEALTHY);
});
