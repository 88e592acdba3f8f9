/** A whole review by the client that openapi-typescript and openapi-fetch make of the published document. */
import createClient from "openapi-fetch";
import type { paths } from "./schema.ts";

const { URL: baseUrl = "", DEVELOPER = "", AGENT = "" } = process.env;
const as = (token: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const developer = as(DEVELOPER);
const agent = as(AGENT);

function must<Data>(answer: { data?: Data; error?: unknown; response: Response }): Data {
  if (answer.data === undefined) throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  return answer.data;
}

const published = must(await agent.POST("/suggestions", { body: { description: "By a generated client" } }));
const id = published.suggestion_id;
const listed = must(
  await developer.GET("/suggestions", { params: { query: { state: "open", text: "GENERATED" } } }),
);
const page = must(
  await developer.GET("/suggestions/{id}/hunks", { params: { path: { id }, query: { limit: 1 } } }),
);
const rest = must(
  await developer.GET("/suggestions/{id}/hunks", {
    params: { path: { id }, query: { limit: 100, cursor: page.next_cursor ?? "" } },
  }),
);
const [first, ...others] = [...page.hunks, ...rest.hunks];
if (first === undefined) throw new Error("no hunk");
const rejected = must(
  await developer.POST("/feedback", {
    body: { suggestion_id: id, hunk_id: first.id, action: "reject", comment: "No", digest: first.digest },
  }),
);
must(await developer.POST("/undo", { body: { suggestion_id: id } }));
must(await developer.POST("/feedback/batch", { body: { suggestion_id: id, scope: { action: "accept" } } }));
const refused = await developer.POST("/feedback", {
  body: { suggestion_id: id, hunk_id: first.id, action: "accept", digest: "0".repeat(64) },
});
const completed = must(
  await developer.POST("/complete", { body: { suggestion_id: id, action: "finalize" } }),
);
const events = must(
  await developer.GET("/events", { params: { query: { since: 0, type: "suggestion.completed" } } }),
);
const [last] = events.events;
console.log(
  JSON.stringify({
    listed: listed.suggestions.map((suggestion) => suggestion.id),
    hunks: others.length + 1,
    rejected: rejected.hunks[0]?.state,
    refused: refused.error?.error.code,
    action: completed.action,
    // Told apart by its type: only this event has a ref.
    event: last?.type === "suggestion.completed" ? last.ref : null,
    ref: completed.ref,
  }),
);
