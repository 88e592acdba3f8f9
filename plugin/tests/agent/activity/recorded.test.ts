/** The host's own events, recorded from a real opencode, through the relay into a real ledger. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Event } from "@opencode-ai/sdk/v2";
import fc from "fast-check";
import type { AskHost } from "../../../src/agent/activity/host-asks.ts";
import { ActivityRelay } from "../../../src/agent/activity/relay.ts";
import { Approved } from "../../../src/agent/approvals/approved.ts";
import { ToolGate } from "../../../src/agent/quiet.ts";
import { ActivityEntry } from "../../../src/protocol/activity.ts";
import { ActivityJournal } from "../../../src/review/activity-journal.ts";
import { MOST_ENTRIES } from "../../../src/review/ledger/activity-rows.ts";
import { Ledger } from "../../../src/review/ledger/ledger.ts";
import { View } from "./view.ts";

const PROJECT = "/place/agent";
const RECORDED = join(import.meta.dir, "recorded");
const NAMES = readdirSync(RECORDED).map((name) => name.replace(/\.jsonl$/, ""));

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

const recorded = (name: string): Event[] =>
  readFileSync(join(RECORDED, `${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);

class Bench {
  readonly ledger: Ledger;
  readonly journal: ActivityJournal;
  readonly relay: ActivityRelay;
  readonly given: string[] = [];
  readonly #parents = new Map<string, string>();
  readonly host: AskHost = {
    rootOf: async (session) => this.#parents.get(session) ?? session,
    permission: async (id, reply) => void this.given.push(`${id} ${reply}`),
    question: async (id, answers) => void this.given.push(`${id} ${JSON.stringify(answers)}`),
    rejectQuestion: async (id) => void this.given.push(`${id} rejected`),
    stop: async (session) => void this.given.push(`${session} stopped`),
  };

  constructor() {
    const root = mkdtempSync(join(tmpdir(), "sm-activity-"));
    this.ledger = Ledger.open(join(root, "ledger.sqlite"));
    this.ledger.db.run("PRAGMA synchronous = OFF");
    ends.push(
      () => rmSync(root, { recursive: true, force: true }),
      () => this.ledger.close(),
    );
    this.journal = new ActivityJournal(this.ledger, () => new Date());
    const failed = (error: unknown) => {
      throw error;
    };
    this.relay = new ActivityRelay({
      journal: this.journal,
      project: PROJECT,
      gate: new ToolGate(),
      approved: new Approved(),
      failed,
    });
  }

  take(event: Event): void {
    if (event.type === "session.created" && event.properties.info.parentID !== undefined)
      this.#parents.set(event.properties.info.id, event.properties.info.parentID);
    this.relay.take(event, this.host);
  }

  read(since = 0): ActivityEntry[] {
    return this.journal.texts(since, 100_000, {}).map(({ json }) => JSON.parse(json) as ActivityEntry);
  }

  /** Who watches from now on, reading whenever there is more. */
  watch(): { view: View; number: number; forms: ActivityEntry[]; stop(): void } {
    const watcher = { view: new View(), number: 0, forms: [] as ActivityEntry[], stop: () => {} };
    const look = () => {
      for (const entry of this.read(watcher.number)) {
        expect(entry.number).toBeGreaterThan(watcher.number);
        watcher.number = entry.number;
        watcher.forms.push(entry);
        watcher.view.take(entry);
      }
    };
    watcher.stop = this.journal.subscribe(look);
    look();
    return watcher;
  }
}

test("a turn: words, thoughts, calls with what came of them, todos, asks, a subagent, what it took", async () => {
  const bench = new Bench();
  for (const event of recorded("turn")) bench.take(event);
  await bench.relay.settled();
  expect(View.of(bench.read()).lines).toEqual([
    "user text: go",
    "turn ended done: go",
    "assistant reasoning: I think about it.",
    "assistant text: Let me look.",
    "todowrite completed: ]",
    "todo one=in_progress two=pending",
    "usage some",
    "bash completed: 3",
    "permission bash for i in 1 2 3; do echo $i; sleep 0.1; done: answered once by opencode",
    "usage some",
    "bash completed: (no output)",
    "permission bash exit 3: answered once by opencode",
    "usage some",
    "read failed",
    "permission external_directory /nowhere/*: answered once by opencode",
    "usage some",
    'question completed: User has answered your questions: "Which?"="A". You can now continue with the user\'s answers in mind.',
    'question Which?: answered [["A"]]',
    "usage some",
    "task completed: </task>",
    "user text: subwork",
    "turn ended done: subwork",
    "bash completed: child",
    "permission bash echo child: answered once by opencode",
    "usage some",
    "assistant text: child done",
    "usage some",
    "usage some",
    "assistant text: All done.",
    "usage some",
  ]);
  const entries = bench.read();
  // What a subagent does belongs to the session that started it.
  expect(new Set(entries.map(({ root_session_id }) => root_session_id)).size).toBe(1);
  expect(new Set(entries.map(({ session_id }) => session_id)).size).toBe(2);
});

test.each([
  ["refused-with-words", /^permission bash touch never: answered reject by opencode$/],
  ["refused", /^turn ended done: refuse$/],
  ["stopped", /^permission bash touch aborted: gone$/],
  ["stopped", /^turn ended stopped: hang$/],
  ["stopped", /^bash failed/],
  ["retry", /^notice retry 1$/],
  ["compacted", /^notice compaction$/],
] as const)("%s: %p is seen", async (name, line) => {
  const bench = new Bench();
  for (const event of recorded(name)) bench.take(event);
  await bench.relay.settled();
  expect(View.of(bench.read()).lines.filter((one) => line.test(one))).toHaveLength(1);
});

test("what a revert took out of the session is not to be shown any more", async () => {
  const bench = new Bench();
  for (const event of [...recorded("turn"), ...recorded("reverted")]) bench.take(event);
  await bench.relay.settled();
  const { lines } = View.of(bench.read());
  expect(lines).not.toContain("assistant text: All done.");
  expect(lines).toContain("user text: note");
});

test("a permission whose turn was stopped is refused at the host, once", async () => {
  const bench = new Bench();
  for (const event of recorded("stopped")) bench.take(event);
  await bench.relay.settled();
  expect(bench.given).toEqual([expect.stringMatching(/^per_\w+ reject$/)]);
});

test("every entry is as the published schema has it", async () => {
  const bench = new Bench();
  for (const event of NAMES.flatMap(recorded)) bench.take(event);
  await bench.relay.settled();
  for (const entry of bench.read()) {
    const checked = ActivityEntry.safeParse(entry);
    expect([entry.type, checked.success ? "fits" : checked.error.message]).toEqual([entry.type, "fits"]);
  }
});

/** A long answer in many small pieces, made after the recorded ones. */
function streamed(pieces: number): Event[] {
  const events = recorded("turn");
  const at = events.findIndex(({ type }) => type === "message.part.delta");
  const delta = events.findLast(({ type }) => type === "message.part.delta") as Event;
  const idle = events.findIndex(
    (event, index) =>
      index > at && event.type === "message.part.updated" && event.properties.part.type === "text",
  );
  const started = events[idle] as Extract<Event, { type: "message.part.updated" }>;
  const { part } = started.properties;
  const many = Array.from({ length: pieces }, (_, index) => {
    const { messageID, sessionID, id } = part;
    const properties = { messageID, sessionID, partID: id, field: "text", delta: `word ${index} ` };
    return { ...delta, properties } as Event;
  });
  return [...events.slice(0, idle + 1), ...many, ...events.slice(idle + 1)];
}

test("a stream is told at most twenty times a second, and its last form once", async () => {
  const bench = new Bench();
  const watcher = bench.watch();
  const began = performance.now();
  for (const event of streamed(400)) {
    bench.take(event);
    if (event.type === "message.part.delta") await Bun.sleep(2);
  }
  await bench.relay.settled();
  const seconds = (performance.now() - began) / 1000;
  const unfinished = watcher.forms.filter((entry) => entry.type === "agent.message" && !entry.done);
  expect(unfinished.length).toBeGreaterThan(1);
  expect(unfinished.length).toBeLessThanOrEqual(seconds * 20 + 3);
  const rows = bench.ledger.rows<{ n: number }>("SELECT count(*) AS n FROM activity GROUP BY id");
  expect(rows.every(({ n }) => n === 1)).toBe(true);
});

describe("live equals replay", () => {
  test("for whoever comes, whenever, however often the reader was away", async () => {
    const turns = NAMES.map(recorded);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ turn: fc.nat(turns.length - 1), pause: fc.nat(40) }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.infiniteStream(fc.nat(30)),
        async (chosen, dice) => {
          const bench = new Bench();
          const always = bench.watch();
          let sometimes = bench.watch();
          const away = { view: new View(), number: 0 };
          for (const { turn, pause } of chosen)
            for (const event of turns[turn] ?? []) {
              bench.take(event);
              const throwOf = dice.next().value;
              if (throwOf === 0) await Bun.sleep(pause);
              if (throwOf === 1) sometimes.stop();
              if (throwOf === 2) {
                sometimes.stop();
                for (const entry of bench.read(away.number)) {
                  away.view.take(entry);
                  away.number = entry.number;
                }
                sometimes = bench.watch();
              }
            }
          await bench.relay.settled();
          for (const entry of bench.read(away.number)) away.view.take(entry);
          const replayed = View.of(bench.read()).entries;
          expect(always.view.entries).toEqual(replayed);
          expect(away.view.entries).toEqual(replayed);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);
});

test("a session that goes on for ever keeps a bounded part, and says so to who watches and to who comes later", async () => {
  const bench = new Bench();
  const watcher = bench.watch();
  const draft = (n: number) => ({
    id: `e${n}`,
    session: "s",
    root: "s",
    open: n === MOST_ENTRIES - 100,
    body: { type: "agent.notice" as const, kind: "error" as const, message: `${n}` },
  });
  for (let n = 0; n < MOST_ENTRIES + 700; n += 100)
    await bench.journal.write(
      PROJECT,
      Array.from({ length: 100 }, (_, index) => draft(n + index)),
    );
  const kept = bench.read();
  expect(kept.length).toBeLessThanOrEqual(MOST_ENTRIES + 1);
  expect(kept.some(({ id }) => id === `e${MOST_ENTRIES - 100}`)).toBe(true);
  expect(View.of(kept).lines[0]).toBe("notice dropped");
  expect(watcher.view.entries).toEqual(View.of(kept).entries);
});

test("what a process left open that cannot be looked at is over for whoever has its port, or after a while", async () => {
  const bench = new Bench();
  const asked = recorded("stopped").findIndex(({ type }) => type === "permission.asked");
  for (const event of recorded("stopped").slice(0, asked + 1)) bench.take(event);
  await bench.relay.settled();
  const open = "permission bash touch aborted: asked";
  await bench.journal.closeDead(PROJECT, true);
  expect(View.of(bench.read()).lines).toContain(open);
  bench.ledger.change("UPDATE activity SET owner = '1 1 pid:[another]'");
  await bench.journal.closeDead(PROJECT);
  expect(View.of(bench.read()).lines).toContain(open);
  await bench.journal.closeDead(PROJECT, true);
  expect(View.of(bench.read()).lines).toContain("permission bash touch aborted: gone");
  expect(bench.journal.waiting("agent.permission")).toEqual([]);
});

test("a session that was deleted takes its activity along", async () => {
  const bench = new Bench();
  const watcher = bench.watch();
  for (const event of recorded("retry")) bench.take(event);
  const session = recorded("retry")[0] as Extract<Event, { type: "message.updated" }>;
  const id = session.properties.sessionID;
  bench.take({
    id: "evt",
    type: "session.deleted",
    properties: { sessionID: id, info: { id } },
  } as unknown as Event);
  await bench.relay.settled();
  expect(View.of(bench.read()).lines).toEqual(["notice dropped"]);
  expect(watcher.view.lines).toEqual(["notice dropped"]);
});
