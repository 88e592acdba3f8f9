/** What is remembered of decisions: `GET /decisions`, over suggestions that are closed as well. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { DecisionsPage } from "../../src/protocol/queries.ts";
import { AgentRepository, Place } from "./place.ts";

setDefaultTimeout(60_000);

describe("what was decided before", () => {
  let place: Place;
  let repository: AgentRepository;

  async function decisions(query = ""): Promise<DecisionsPage> {
    const answer = await place.ask(`/decisions${query}`, { token: place.agent });
    if (answer.status !== 200) throw new Error(answer.text);
    return answer.body as DecisionsPage;
  }
  const reasons = async (query = ""): Promise<(string | undefined)[]> =>
    (await decisions(query)).decisions.map(({ comment }) => comment);

  async function decide(id: string, hunk: string, action: string, more: object = {}): Promise<void> {
    const answer = await place.ask("/feedback", {
      body: { suggestion_id: id, hunk_id: hunk, action, ...more },
    });
    if (answer.status !== 200) throw new Error(answer.text);
  }

  beforeAll(async () => {
    place = await Place.open();
    repository = await AgentRepository.add(place);
    const { id, hunks } = await repository.publish("Make a change\n\nAnd more");
    const of = (file: string) => hunks.filter((hunk) => hunk.file === file).map((hunk) => hunk.id);
    const [third, thirtieth] = of("src/a.ts");
    await decide(id, third ?? "", "reject", { comment: "Numbers stay as DIGITS" });
    const own =
      "@@ -27,7 +27,7 @@\n line 27\n line 28\n line 29\n-line 30\n+line XXX\n line 31\n line 32\n line 33\n";
    await decide(id, thirtieth ?? "", "modify", { modified_diff: own });
    await decide(id, of("src/new.ts")[0] ?? "", "accept", { comment: "Good" });
    await decide(id, of("old.txt")[0] ?? "", "accept");
    // A new revision keeps what was decided, which is remembered once all the same.
    repository.jj("edit", place.desk.get(id).jj_change_id);
    repository.edit("src/a.ts", (text) => text.replace("line 15\n", "line fifteen\n"));
    const body = {
      description: "Make a change",
      change_id: place.desk.get(id).jj_change_id,
      project: repository.dir,
    };
    const again = await place.ask("/suggestions", { body, token: place.agent });
    if (again.status !== 201) throw new Error(again.text);
    await place.ask("/complete", { body: { suggestion_id: id, action: "discard" } });
  });
  afterAll(() => place.stop());

  test("has each decision that says something, the latest first, once, whatever became of the suggestion", async () => {
    const { decisions: all, next_cursor } = await decisions();
    expect(next_cursor).toBeNull();
    expect(all.map(({ file, state, comment }) => [file, state, comment])).toEqual([
      ["src/new.ts", "accepted", "Good"],
      ["src/a.ts", "modified", undefined],
      ["src/a.ts", "rejected", "Numbers stay as DIGITS"],
    ]);
    expect(all[1]?.modified_diff).toContain("+line XXX\n");
    expect(all[2]).toMatchObject({ by: "developer", description: "Make a change" });
    expect(all[2]?.diff).toContain("+line three\n");
  });

  test("is found by text, file, state and time", async () => {
    expect(await reasons("?text=digits")).toEqual(["Numbers stay as DIGITS"]);
    expect(await reasons("?text=line%20THREE")).toEqual(["Numbers stay as DIGITS"]);
    expect(await reasons("?text=xxx")).toEqual([undefined]);
    expect(await reasons("?text=%25")).toEqual([]);
    expect(await reasons("?file=src")).toHaveLength(3);
    expect(await reasons("?file=src/new.ts")).toEqual(["Good"]);
    expect(await reasons("?file=sr")).toEqual([]);
    expect(await reasons("?state=rejected")).toEqual(["Numbers stay as DIGITS"]);
    expect(
      await reasons(`?since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`),
    ).toEqual([]);
    expect(await reasons("?since=2020-01-01T00:00:00Z")).toHaveLength(3);
    expect(await reasons(`?project=${encodeURIComponent(repository.dir)}`)).toHaveLength(3);
  });

  test("comes by pages that neither skip nor repeat", async () => {
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = await decisions(`?limit=1${cursor}`);
      seen.push(...page.decisions.map(({ file, state }) => `${file} ${state}`));
      cursor = page.next_cursor === null ? "" : `&cursor=${page.next_cursor}`;
    } while (cursor !== "");
    expect(seen).toEqual(["src/new.ts accepted", "src/a.ts modified", "src/a.ts rejected"]);
  });

  test("is refused by the field that is wrong", async () => {
    for (const [query, status, field] of [
      ["?limit=0", 400, "limit"],
      ["?cursor=nonsense", 400, "cursor"],
      ["?since=yesterday", 400, "since"],
      ["?state=pending", 400, "state"],
      ["?project=/nowhere", 404, "project"],
    ] as const) {
      const answer = await place.ask(`/decisions${query}`);
      expect(answer.status).toBe(status);
      expect(answer.body.error.message).toContain(field);
    }
  });
});
