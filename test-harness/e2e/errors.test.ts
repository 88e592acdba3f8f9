/** What is wrong is refused with the documented code and status, and changes nothing at all. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ERROR_STATUS, type ErrorCode } from "../../plugin/src/protocol/errors.ts";
import type { Hunk } from "../../plugin/src/protocol/model.ts";
import type { Answer } from "../support/curl.ts";
import { fetchHub } from "../support/expected-tree.ts";
import { Repository } from "../support/repository.ts";
import { Scene } from "../support/scene.ts";
import { type Served, serve } from "../support/server.ts";

const scene = new Scene("errors");

/** A server with one suggestion, and a hunk of it to try on. */
interface Review {
  served: Served;
  agent: Repository;
  id: string;
  hunk: Hunk;
}

async function openReview(name: string): Promise<Review> {
  const agent = Repository.agent(scene, name);
  agent.workOnDemo();
  const served = await serve(scene, agent.dir, 0, scene.path(`${name}-state`));
  const id: string = served.curl.post("/suggestions", { description: "Fahrenheit" }).body.suggestion_id;
  const hunk = served.curl.hunks(id).find(({ kind, old_count }) => kind === "text" && old_count > 1);
  if (hunk === undefined) throw new Error("no hunk to try on");
  return { served, agent, id, hunk };
}

// For what is refused: nothing is decided here.
let shared: Review;
let served: Served;
let id = "";
let hunk: Hunk;

/** Everything a refused request must leave as it was. */
function everything({ served, agent, id }: Review = shared): unknown {
  const { curl, ready } = served;
  const suggestion = curl.suggestion(id);
  const hub = fetchHub(scene, ready.remote, curl.token);
  return {
    seq: curl.lastSeq(),
    hunks: curl.hunks(id),
    counts: [suggestion.reviewed_count, suggestion.revision, suggestion.state, suggestion.updated_at],
    accepted: curl.get(`/suggestions/${id}.patch?part=accepted`).text,
    refs: hub.git("for-each-ref"),
    agent: agent.jj("--ignore-working-copy", "log", "--no-graph", "-r", "all()", "-T", 'commit_id ++ "\n"'),
    files: agent.git("status", "--porcelain"),
  };
}

beforeAll(async () => {
  shared = await openReview("shared");
  ({ served, id, hunk } = shared);
  scene.say(`published; every case is tried on ${hunk.id}`);
}, 30_000);
afterAll(() => scene.close());

interface Case {
  name: string;
  code: ErrorCode;
  ask(): Answer;
  /** What the sentence must name. */
  says?: RegExp;
}

const feedback = (more: Record<string, unknown>): Record<string, unknown> => ({
  suggestion_id: id,
  hunk_id: hunk.id,
  action: "accept",
  ...more,
});
const post = (body: unknown, ask: Parameters<Served["curl"]["post"]>[2] = {}): Answer =>
  served.curl.post("/feedback", body, ask);

const CASES: Case[] = [
  {
    name: "an edited diff whose context is not the file's",
    code: "invalid_modification",
    ask: () =>
      post(feedback({ action: "modify", modified_diff: hunk.diff.replace(/^-(.*)$/m, "-no such line: $1") })),
  },
  {
    name: "an edited diff with wrong counts",
    code: "invalid_modification",
    ask: () =>
      post(
        feedback({ action: "modify", modified_diff: hunk.diff.replace(/^@@ .* @@/, "@@ -1,99 +1,99 @@") }),
      ),
  },
  {
    name: "an edited diff that is no diff",
    code: "invalid_modification",
    ask: () => post(feedback({ action: "modify", modified_diff: "please make it nicer" })),
  },
  {
    name: "modify without a diff",
    code: "invalid_request",
    ask: () => post(feedback({ action: "modify" })),
    says: /modified_diff/,
  },
  {
    name: "an unknown suggestion",
    code: "not_found",
    ask: () => post(feedback({ suggestion_id: "01900000-0000-7000-8000-000000000000" })),
  },
  {
    name: "an unknown hunk",
    code: "not_found",
    ask: () => post(feedback({ hunk_id: `${id}:nowhere.ts:0` })),
  },
  {
    name: "a suggestion asked for by an unknown id",
    code: "not_found",
    ask: () => served.curl.get("/suggestions/unknown"),
  },
  { name: "a route that is not there", code: "not_found", ask: () => served.curl.get("/nowhere") },
  {
    name: "a wrong method",
    code: "method_not_allowed",
    ask: () => served.curl.get("/feedback", { method: "DELETE" }),
  },
  { name: "a wrong token", code: "unauthorized", ask: () => post(feedback({}), { token: "smd_wrong" }) },
  { name: "no token", code: "unauthorized", ask: () => post(feedback({}), { token: null }) },
  {
    name: "a token in the URL",
    code: "invalid_request",
    ask: () => served.curl.post("/feedback?token=abc", feedback({})),
  },
  { name: "malformed JSON", code: "invalid_request", ask: () => post('{"suggestion_id": '), says: /JSON/ },
  {
    name: "an oversized body",
    code: "payload_too_large",
    ask: () => post(feedback({ comment: "x".repeat(9 * 1024 * 1024) })),
  },
  {
    name: "a comment over its bound",
    code: "invalid_request",
    ask: () => post(feedback({ comment: "x".repeat(20_000) })),
    says: /comment/,
  },
  {
    name: "a wrong content type",
    code: "unsupported_media_type",
    ask: () => post(feedback({}), { contentType: "text/plain" }),
  },
  {
    name: "no content type",
    code: "unsupported_media_type",
    ask: () => post(feedback({}), { contentType: null }),
  },
  {
    name: "an unknown field",
    code: "invalid_request",
    ask: () => post(feedback({ acton: "accept" })),
    says: /acton/,
  },
  {
    name: "an unknown action",
    code: "invalid_request",
    ask: () => post(feedback({ action: "bless" })),
    says: /action/,
  },
  {
    name: "the digest of another text",
    code: "stale_hunk",
    ask: () => post(feedback({ digest: "0".repeat(64) })),
  },
  {
    name: "a foreign origin",
    code: "forbidden",
    ask: () => post(feedback({}), { headers: ["Origin: https://example.org"] }),
  },
  {
    name: "a foreign host name",
    code: "forbidden",
    ask: () => post(feedback({}), { headers: ["Host: example.org"] }),
  },
  {
    name: "finalizing when nothing is accepted",
    code: "nothing_to_do",
    ask: () => served.curl.post("/complete", { suggestion_id: id, action: "finalize" }),
  },
  {
    name: "a batch with one bad decision among good ones",
    code: "not_found",
    ask: () =>
      served.curl.post("/feedback/batch", {
        suggestion_id: id,
        decisions: [
          { hunk_id: hunk.id, action: "accept" },
          { hunk_id: `${id}:nowhere.ts:0`, action: "accept" },
        ],
      }),
  },
  {
    name: "undo when nothing was decided",
    code: "nothing_to_do",
    ask: () => served.curl.post("/undo", { suggestion_id: id }),
  },
  {
    name: "publishing an unknown change",
    code: "unpublishable",
    ask: () => served.curl.post("/suggestions", { description: "x", change_id: "zzzzzzzzzzzz" }),
  },
];

describe("each is refused and changes nothing", () => {
  for (const { name, code, ask, says } of CASES) {
    test(name, () => {
      const before = everything();
      const answer = ask();
      scene.say(`${name}: ${answer.status} ${answer.body?.error?.code}`);
      expect(answer.body?.error?.code).toBe(code);
      expect(answer.status).toBe(ERROR_STATUS[code]);
      expect(typeof answer.body.error.message).toBe("string");
      expect(Object.keys(answer.body)).toEqual(["error"]);
      if (says !== undefined) expect(answer.body.error.message).toMatch(says);
      expect(answer.text).not.toContain(served.curl.token);
      expect(everything()).toEqual(before);
    }, 20_000);
  }

  test("a stale digest is answered with the hunk as it is", () => {
    const answer = post(feedback({ digest: "0".repeat(64) }));
    expect(answer.body.error.details.hunk).toMatchObject({ id: hunk.id, digest: hunk.digest });
  });

  test("a request id used for another body", async () => {
    const own = await openReview("decided");
    const decide = (action: string): Answer =>
      own.served.curl.post("/feedback", {
        suggestion_id: own.id,
        hunk_id: own.hunk.id,
        action,
        request_id: "e2e-1",
      });
    const first = decide("reject");
    expect(first.status).toBe(200);
    const before = everything(own);
    expect(decide("reject").body).toEqual(first.body);
    expect(decide("accept")).toMatchObject({
      status: 409,
      body: { error: { code: "request_reused" } },
    });
    expect(everything(own)).toEqual(before);
  }, 30_000);
});
