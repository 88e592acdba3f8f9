/** A whole review by the client that @hey-api/openapi-ts makes of the published document. */
import { createClient, createConfig } from "./hey/client";
import {
  batch,
  complete,
  feedback,
  listEvents,
  listHunks,
  listSuggestions,
  publish,
  undo,
} from "./hey/index";

const { URL: baseUrl = "", DEVELOPER = "", AGENT = "" } = process.env;
const as = (token: string) => createClient(createConfig({ baseUrl, auth: token, throwOnError: true }));
const client = as(DEVELOPER);
const throwOnError = true;

const { data: published } = await publish({
  client: as(AGENT),
  body: { description: "By a generated client" },
  throwOnError,
});
const suggestion_id = published.suggestion_id;
const { data: listed } = await listSuggestions({
  client,
  query: { state: "open", text: "GENERATED" },
  throwOnError,
});
const path = { id: suggestion_id };
const { data: page } = await listHunks({ client, path, query: { limit: 1 }, throwOnError });
const { data: rest } = await listHunks({
  client,
  path,
  query: { limit: 100, cursor: page.next_cursor ?? "" },
  throwOnError,
});
const [first, ...others] = [...page.hunks, ...rest.hunks];
if (first === undefined) throw new Error("no hunk");
const { data: rejected } = await feedback({
  client,
  body: { suggestion_id, hunk_id: first.id, action: "reject", comment: "No", digest: first.digest },
  throwOnError,
});
await undo({ client, body: { suggestion_id }, throwOnError });
await batch({ client, body: { suggestion_id, scope: { action: "accept" } }, throwOnError });
const refused = await feedback({
  client,
  body: { suggestion_id, hunk_id: first.id, action: "accept", digest: "0".repeat(64) },
  throwOnError: false,
});
const { data: completed } = await complete({
  client,
  body: { suggestion_id, action: "finalize" },
  throwOnError,
});
const { data: events } = await listEvents({
  client,
  query: { since: 0, type: "suggestion.completed" },
  throwOnError,
});
const [last] = events.events;
console.log(
  JSON.stringify({
    listed: listed.suggestions.map((suggestion) => suggestion.id),
    hunks: others.length + 1,
    rejected: rejected.hunks[0]?.state,
    refused: refused.error?.error.code,
    action: completed.action,
    event: last?.type === "suggestion.completed" ? last.ref : null,
    ref: completed.ref,
  }),
);
