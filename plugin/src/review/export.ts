/** A session to read and to keep: from the agent's host or, where that has it no more, from our own record. */
import type { ActivityEntry } from "../protocol/activity.ts";
import { ReviewError } from "../protocol/errors.ts";
import type { ActivityJournal } from "./activity-journal.ts";
import { transcriptOf } from "./activity-transcript.ts";
import type { AgentLink } from "./tell/agent-link.ts";
import { type Transcript, transcriptMarkdown } from "./tell/transcript.ts";

/** More than is kept of a session. */
const MOST_ENTRIES = 10_000;
/** Of a title made of the first prompt. */
const TITLE_CHARACTERS = 80;

/** @throws ReviewError `not_found` where nobody has it */
export async function exportSession(
  journal: ActivityJournal,
  { project, link }: { project: string; link: AgentLink | null },
  session: string,
): Promise<string> {
  const there = (await link?.sessions.transcript(session)) ?? null;
  return transcriptMarkdown(there ?? recorded(journal, project, session));
}

function recorded(journal: ActivityJournal, project: string, session: string): Transcript {
  const entries = journal
    .texts(0, MOST_ENTRIES, { project, session })
    .map(({ json }) => JSON.parse(json) as ActivityEntry);
  const items = transcriptOf(entries);
  const first = items.find((item) => item.kind === "text");
  if (first === undefined)
    throw new ReviewError("not_found", "session_id: neither opencode nor the record of its activity has it");
  return {
    session,
    project,
    title: first.text.trim().split("\n", 1)[0]?.slice(0, TITLE_CHARACTERS) ?? "",
    source: "From the record of the agent's activity: opencode has the session no more.",
    items,
  };
}
