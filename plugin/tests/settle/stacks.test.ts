/** Changes on changes: in whatever order they are published, each can be brought to its end. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
afterEach(() => place.close());

/** Two changes, the upper on the lower; @ is an empty child. */
async function stack(init?: string[]): Promise<{ lower: string; upper: string }> {
  place = await deskPlace(init);
  place.edit("poem.txt", { "line 5": "FIVE" });
  place.jj("commit", "-m", "lower");
  place.edit("poem.txt", { "line 45": "FORTY-FIVE" });
  place.jj("commit", "-m", "upper");
  return { lower: place.log("@--", "change_id"), upper: place.log("@-", "change_id") };
}

const publish = (change_id?: string) =>
  place.desk.publish(
    { description: "Better poem", project: place.dir, ...(change_id === undefined ? {} : { change_id }) },
    "agent",
  );
const finalize = (suggestion_id: string) => {
  place.desk.decideMany({ suggestion_id, scope: { action: "accept", include: "all" } }, "developer");
  return place.desk.complete({ suggestion_id, action: "finalize" }, "developer");
};

test("D6: a child published before its parent stands on it once the parent is published, and both are finalized", async () => {
  const { lower, upper } = await stack();
  const child = await publish(upper);
  expect(place.desk.get(child.suggestion_id).stacked_on ?? null).toBeNull();
  const parent = await publish(lower);
  expect(place.desk.get(child.suggestion_id).stacked_on).toBe(parent.suggestion_id);
  await expect(finalize(child.suggestion_id)).rejects.toThrow(parent.suggestion_id);
  await finalize(parent.suggestion_id);
  // No settle in between: the developer goes on at once.
  const done = await finalize(child.suggestion_id);
  expect(done.action).toBe("finalized");
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.file("poem.txt")).toContain("FIVE\n");
  expect(place.file("poem.txt")).toContain("FORTY-FIVE\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D6: a change on an unpublished one is warned of at publish, by name and with what to do; doing it works", async () => {
  const { lower, upper } = await stack();
  const child = await publish(upper);
  const warning = child.warnings.join("\n");
  expect(warning).toContain(lower.slice(0, 12));
  expect(warning).toContain('"lower"');
  expect(warning).toContain("publish_suggestion");
  const ready = place.events.findLast((event) => event.type === "suggestion.ready");
  expect(ready?.type === "suggestion.ready" && ready.suggestion.warnings.join("\n")).toContain('"lower"');
  // Finalizing says the same instead of being stuck.
  await expect(finalize(child.suggestion_id)).rejects.toThrow(lower.slice(0, 12));
  const parent = await publish(lower);
  expect(parent.warnings).toEqual([]);
  await finalize(parent.suggestion_id);
  expect((await finalize(child.suggestion_id)).action).toBe("finalized");
});

test('D6: two "git commit"s and one publish: the one below is found, published and finalized first', async () => {
  place = await deskPlace();
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", "-C", place.dir, "-c", "user.name=a", "-c", "user.email=a@b", ...args], {
      env: process.env,
    });
  place.edit("poem.txt", { "line 5": "FIVE" });
  git("commit", "-qam", "one");
  place.edit("poem.txt", { "line 45": "FORTY-FIVE" });
  git("commit", "-qam", "two");
  const two = await publish();
  expect(two.files).toEqual(["poem.txt"]);
  const below = /change_id "?([k-z]{12,})/.exec(two.warnings.join("\n"))?.[1] as string;
  expect(below).toBeDefined();
  const one = await publish(below);
  expect(place.desk.get(two.suggestion_id).stacked_on).toBe(one.suggestion_id);
  await finalize(one.suggestion_id);
  expect((await finalize(two.suggestion_id)).action).toBe("finalized");
  await place.settle();
  expect(place.health()).toEqual(HEALTHY);
});

test("D6: three changes published from the top down are finalized from the bottom up", async () => {
  const { lower, upper } = await stack();
  place.edit("other.txt", { "line 3": "THREE" });
  place.jj("commit", "-m", "top");
  const top = place.log("@-", "change_id");
  const third = await publish(top);
  expect(third.warnings.join("\n")).toContain(lower.slice(0, 12));
  expect(third.warnings.join("\n")).toContain(upper.slice(0, 12));
  const second = await publish(upper);
  const first = await publish(lower);
  expect(place.desk.get(third.suggestion_id).stacked_on).toBe(second.suggestion_id);
  expect(place.desk.get(second.suggestion_id).stacked_on).toBe(first.suggestion_id);
  for (const { suggestion_id } of [first, second, third])
    expect((await finalize(suggestion_id)).action).toBe("finalized");
  await place.settle();
  expect(place.file("other.txt")).toContain("THREE\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D6: a parent that was amended after the child was published is still found", async () => {
  const { lower, upper } = await stack();
  const child = await publish(upper);
  place.jj("edit", lower);
  place.edit("poem.txt", { "line 15": "FIFTEEN" });
  place.jj("new", upper);
  const parent = await publish(lower);
  expect(place.desk.get(child.suggestion_id).stacked_on).toBe(parent.suggestion_id);
  await finalize(parent.suggestion_id);
  expect((await finalize(child.suggestion_id)).action).toBe("finalized");
});

test("D6: an empty change below has nothing to publish: what is said instead works", async () => {
  place = await deskPlace();
  place.jj("new");
  place.edit("poem.txt", { "line 5": "FIVE" });
  place.jj("describe", "-m", "upper");
  const empty = place.log("@-", "change_id");
  const upper = place.log("@", "change_id");
  const first = await publish();
  expect(first.warnings.join("\n")).toContain(`jj abandon ${empty.slice(0, 12)}`);
  await expect(finalize(first.suggestion_id)).rejects.toThrow(`jj abandon ${empty.slice(0, 12)}`);
  place.jj("abandon", empty);
  await publish(upper);
  expect((await finalize(first.suggestion_id)).action).toBe("finalized");
});

test("D6: a discarded lower change leaves the upper one to be finalized by itself", async () => {
  const { lower, upper } = await stack();
  const child = await publish(upper);
  const parent = await publish(lower);
  await place.desk.complete({ suggestion_id: parent.suggestion_id, action: "discard" }, "developer");
  expect((await finalize(child.suggestion_id)).action).toBe("finalized");
  await place.settle();
  expect(place.file("poem.txt")).toContain("line 5\n");
  expect(place.file("poem.txt")).toContain("FORTY-FIVE\n");
  expect(place.health()).toEqual(HEALTHY);
});
