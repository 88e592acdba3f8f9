/**
 * A desk without a repository: enough to stand behind the doors where a test is about the doors alone. What concerns
 * the journal, decisions or repositories is tested on the real desk (see `place.ts`).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ReviewError } from "../../src/protocol/errors.ts";
import type { EventBody, ReviewEvent } from "../../src/protocol/events.ts";
import type { Hunk, Suggestion } from "../../src/protocol/model.ts";
import type { DecisionResult, EventListener, ReviewDesk } from "../../src/review/contract.ts";

export interface MemoryDesk extends ReviewDesk {
  emit(body: EventBody, project?: string): ReviewEvent;
  calls: { name: string; request: unknown; actor: string | undefined }[];
  hubChanges: string[];
}

const hunk = (suggestion: string, index: number): Hunk => ({
  id: `${suggestion}:src/a.ts:${index}`,
  file: "src/a.ts",
  diff: "@@ -1 +1 @@\n-old\n+new\n",
  diff_bytes: 22,
  digest: "0".repeat(64),
  kind: "text",
  old_file: "src/a.ts",
  old_mode: "100644",
  new_mode: "100644",
  old_start: 1,
  old_count: 1,
  new_start: 1,
  new_count: 1,
  context_before: 0,
  context_after: 0,
  encoding: "utf-8",
  state: "pending",
});

function suggestion(id: string): Suggestion {
  return {
    id,
    jj_change_id: "kkkkkkkk",
    description: "Make a change",
    files: ["src/a.ts"],
    hunk_count: 2,
    reviewed_count: 0,
    accepted_count: 0,
    rejected_count: 0,
    status: "pending",
    state: "open",
    revision: 1,
    base_commit: "a".repeat(40),
    commit: "b".repeat(40),
    project: "/project",
    hub: "/git/project.git",
    stacked_on: null,
    base_moved: false,
    created_at: "2026-01-01T00:00:00.000Z",
    updated_at: "2026-01-01T00:00:00.000Z",
    result: null,
    hunks: [hunk(id, 0), hunk(id, 1)],
    hunks_omitted: false,
    file_summaries: [],
    warnings: [],
    verify: null,
  };
}

export function memoryDesk(stateDir: string, count = 2): MemoryDesk {
  const all = new Map<string, Suggestion>();
  for (let i = 0; i < count; i++) {
    const id = `suggestion-${i}`;
    all.set(id, suggestion(id));
  }
  const journal: { seq: number; json: string; event: ReviewEvent }[] = [];
  const listeners = new Set<EventListener>();
  const calls: MemoryDesk["calls"] = [];
  const hubChanges: string[] = [];
  const hubs = join(stateDir, "hubs");
  mkdirSync(hubs, { recursive: true });

  function find(id: string): Suggestion {
    const found = all.get(id);
    if (found === undefined) throw new ReviewError("not_found", "No suggestion has this id");
    return found;
  }
  function emit(body: EventBody, project = "/project"): ReviewEvent {
    const seq = journal.length + 1;
    const event = { ...body, seq, ts: new Date(seq).toISOString(), project };
    const json = JSON.stringify(event);
    journal.push({ seq, json, event });
    for (const listener of listeners) listener(event, json);
    return event;
  }
  function decided(
    name: string,
    request: { suggestion_id: string },
    actor: string | undefined,
  ): DecisionResult {
    calls.push({ name, request, actor });
    const { id } = find(request.suggestion_id);
    const { seq } = emit({ type: "suggestion.status", suggestion_id: id, status: "partial", message: name });
    return {
      success: true,
      suggestion_id: id,
      revision: 1,
      hunks: [],
      changed: 1,
      remaining_hunks: 1,
      reviewed_count: 1,
      hunk_count: 2,
      seq,
    };
  }
  const published = (request: { description?: string; suggestion_id?: string }) => ({
    suggestion_id: request.suggestion_id ?? "suggestion-0",
    revision: 1,
    hunk_count: 2,
    pending_count: 2,
    files: ["src/a.ts"],
    warnings: [],
    feedback: [],
  });

  return {
    calls,
    hubChanges,
    emit,
    async publish(request, actor) {
      calls.push({ name: "publish", request, actor });
      return published(request);
    },
    list: (query) => ({
      suggestions: [...all.values()].slice(query.offset, query.offset + query.limit),
      total: all.size,
    }),
    get: find,
    hunks(id, query) {
      const { hunks } = find(id);
      return { suggestion_id: id, revision: 1, offset: query.offset, hunks, total: hunks.length, next: null };
    },
    async content(id, query) {
      find(id);
      return { ...query, exists: true, mode: "100644", size: 3, base64: "b2xk", next: null };
    },
    async patch(id) {
      find(id);
      return new TextEncoder().encode("--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1 +1 @@\n-old\n+new\n");
    },
    decide: (request, actor) => decided("decide", request, actor),
    decideMany: (request, actor) => decided("decideMany", request, actor),
    undo: (request, actor) => decided("undo", request, actor),
    redo: (request, actor) => decided("redo", request, actor),
    comment: (request, actor) => decided("comment", request, actor),
    async complete(request, actor) {
      decided("complete", request, actor);
      return { success: true, suggestion_id: request.suggestion_id, action: "discarded" };
    },
    async rebase(request, actor) {
      decided("rebase", request, actor);
      return published(request);
    },
    async verify(request) {
      decided("verify", request, undefined);
      return { ok: true, exit_code: 0, output: "" };
    },
    async revise(request) {
      decided("revise", request, undefined);
      return { sent: true, message: "sent" };
    },
    async ask(request) {
      calls.push({ name: "ask", request, actor: undefined });
      return { session_id: "session" };
    },
    async abort(request) {
      calls.push({ name: "abort", request, actor: undefined });
      return { aborted: false };
    },
    async status(request, actor) {
      calls.push({ name: "status", request, actor });
      emit({ type: "suggestion.status", status: request.status ?? "working", message: request.message });
      return { sent: true, feedback: [] };
    },
    async settle(request) {
      calls.push({ name: "settle", request, actor: undefined });
      return { settled: true, message: "settled", feedback: [] };
    },
    events(query) {
      const events = journal.slice(query.since, query.since + query.limit).map(({ event }) => event);
      const last_seq = journal.length;
      return { events, last_seq, more: query.since + events.length < last_seq };
    },
    eventTexts: (since, limit) => journal.slice(since, since + limit),
    lastSeq: () => journal.length,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    health: () => ({
      ledger_bytes: 0,
      last_seq: journal.length,
      open_suggestions: all.size,
      projects: [],
      last_error: null,
    }),
    hubRoot: () => hubs,
    async hubChanged(name) {
      hubChanges.push(name);
    },
    pushableRefs: () => ["refs/heads/main", "refs/heads/topic/*"],
  };
}
