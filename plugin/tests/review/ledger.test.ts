/** The ledger and what is written from it: refused when it is not ours, replayed as it was told, shared by processes. */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { FeedbackLog } from "../../src/review/ledger/feedback-log.ts";
import { type HunkRow, standingHunks } from "../../src/review/ledger/hunk-rows.ts";
import { Ledger } from "../../src/review/ledger/ledger.ts";
import { MIGRATIONS, type Migration, UNNAMED } from "../../src/review/ledger/schema.ts";
import { why } from "../../src/review/why.ts";
import { temporaryDirectory } from "../support/place.ts";

setDefaultTimeout(60_000);

const open: Ledger[] = [];
const openLedger = (path: string): Ledger => {
  const ledger = Ledger.open(path);
  open.push(ledger);
  return ledger;
};
afterEach(() => {
  for (const ledger of open.splice(0)) ledger.close();
});
const place = () => join(temporaryDirectory("ledger"), "ledger.sqlite");
const status = (message: string) => ({
  type: "suggestion.status" as const,
  status: "working" as const,
  message,
});

describe("a ledger that is not ours to use is refused and left as it is", () => {
  const cases: [string, (path: string) => void, string][] = [
    [
      "of a later version",
      (path) => {
        Ledger.open(path).close();
        new Database(path).run(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
      },
      "use a newer version",
    ],
    [
      "of another program",
      (path) => new Database(path).run("CREATE TABLE t (x)"),
      "database of another program",
    ],
    [
      "no database at all",
      (path) => writeFileSync(path, "hello, this is a text file\n".repeat(50)),
      "not a ledger",
    ],
  ];
  for (const [what, make, sentence] of cases) {
    test(what, () => {
      const path = place();
      make(path);
      const before = readFileSync(path);
      expect(() => Ledger.open(path)).toThrow(sentence);
      expect(() => Ledger.open(path)).toThrow("left untouched");
      expect(readFileSync(path).equals(before)).toBe(true);
    });
  }
});

describe("a migration", () => {
  test("goes forward after a copy of what was there", () => {
    const path = place();
    Ledger.open(path).close();
    const mutable = MIGRATIONS as Migration[];
    mutable.push({ name: "later", sql: "CREATE TABLE later (x INTEGER) STRICT" });
    try {
      openLedger(path).change("INSERT INTO event VALUES (1, '/p', 't', '{}')");
    } finally {
      mutable.pop();
    }
    const copy = `${path}.v${MIGRATIONS.length}.backup`;
    expect(existsSync(copy)).toBe(true);
    const tables = new Database(copy, { readonly: true })
      .query("SELECT name FROM sqlite_master WHERE name = 'later'")
      .all();
    expect(tables).toEqual([]);
  });

  test("from version 1 keeps hunks, decisions, comments, history and the journal", () => {
    const path = place();
    const old = new Database(path, { create: true, strict: true });
    old.run(MIGRATIONS[0]?.sql ?? "");
    old.run("PRAGMA application_id = 0x49414331");
    old.run("PRAGMA user_version = 1");
    const insert = (table: string, row: Record<string, SQLQueryBindings>) => {
      const columns = Object.keys(row);
      old
        .query(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`)
        .run(...Object.values(row));
    };
    const suggestion = { id: "s", project: "/p", hub: "h", change_id: "k", description: "d", state: "open" };
    const counts = { revision: 1, hunk_count: 3, settled: "c", settled_parent: "b", agent_commit: "c" };
    insert("suggestion", { ...suggestion, ...counts, created_at: "t", updated_at: "t" });
    const commits = { base_commit: "b", commit_id: "c", base_tree: "bt", commit_tree: "ct", author: "a" };
    insert("revision", { suggestion: "s", n: 1, ...commits, entries: "[]", warnings: "[]", created_at: "t" });
    const record = '{"by":"developer","at":"t","comment":"why"}';
    const hunks: Pick<HunkRow, "id" | "position" | "file" | "state" | "decision" | "comments">[] = [
      { id: "s:b.txt:0", position: 0, file: "b.txt", state: "rejected", decision: record, comments: null },
      {
        id: "s:a.txt:0",
        position: 1,
        file: "a.txt",
        state: "pending",
        decision: null,
        comments: '[{"text":"?"}]',
      },
      { id: "s:a.txt:1", position: 2, file: "a.txt", state: "pending", decision: null, comments: null },
    ];
    const lines = {
      old_from: 1,
      old_count: 1,
      new_from: 1,
      new_count: 1,
      context_before: 0,
      context_after: 0,
    };
    for (const hunk of hunks) {
      insert("hunk", {
        ...{ suggestion: "s", revision: 1, entry: 0, kind: "text", path: hunk.file, encoding: "utf-8" },
        ...{ digest: `digest of ${hunk.id}`, diff: Buffer.from([0, 255, 10]) },
        ...lines,
        ...hunk,
      });
    }
    insert("decision_batch", { id: 7, suggestion: "s", revision: 1, by: "developer", at: "t" });
    const one = { batch: 7, suggestion: "s", before_state: "pending", before: null };
    insert("decision", { ...one, hunk: "s:b.txt:0", after_state: "rejected", after: record });
    insert("decision", { ...one, hunk: "s:a.txt:1", after_state: "accepted", after: record, undone: 1 });
    const event = {
      seq: 5,
      ts: "t",
      project: "/p",
      type: "suggestion.ready",
      suggestion: "s",
      json: '{"seq":5}',
    };
    insert("event", event);
    old.close();

    const ledger = openLedger(path);
    expect(existsSync(`${path}.v1.backup`)).toBe(true);
    expect(
      standingHunks(ledger, "s", 1).map(({ id, state, decision, comments, diff }) => ({
        ...{ id, state, decision, comments },
        diff: [...diff],
      })),
    ).toEqual(hunks.map(({ position: _, file: __, ...hunk }) => ({ ...hunk, diff: [0, 255, 10] })));
    expect(
      ledger.rows(
        "SELECT hunk.id AS id, after_state, after, undone FROM decision JOIN hunk ON hunk.key = decision.hunk ORDER BY decision.id",
      ),
    ).toEqual([
      { id: "s:b.txt:0", after_state: "rejected", after: record, undone: 0 },
      { id: "s:a.txt:1", after_state: "accepted", after: record, undone: 1 },
    ]);
    expect(ledger.eventTexts(0, 10)).toEqual([{ seq: 5, json: '{"seq":5}' }]);
    expect(ledger.rows("SELECT files FROM revision")).toEqual([{ files: '["b.txt","a.txt"]' }]);
    expect(ledger.db.query("PRAGMA foreign_key_check").all()).toEqual([]);
    expect(ledger.rows("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });
});

describe("a migration from every earlier version to words", () => {
  /** A ledger of `version` steps as it was kept then: by its number alone. */
  const older = (version: number): { path: string; old: Database } => {
    const path = place();
    const old = new Database(path, { create: true, strict: true });
    for (const { sql } of MIGRATIONS.slice(0, version)) old.run(sql);
    old.run("PRAGMA application_id = 0x49414331");
    old.run(`PRAGMA user_version = ${version}`);
    return { path, old };
  };
  const numbers = [0, 1, 2];
  const schemaOf = (db: Database) =>
    db.query("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").all();

  for (let version = 1; version <= UNNAMED; version++) {
    test(`from version ${version}: when to settle, what was cut and joined, and all beside it`, () => {
      const { path, old } = older(version);
      for (const n of numbers) {
        old.run(
          `INSERT INTO suggestion (id, project, hub, change_id, description, state, revision, hunk_count, settled, settled_parent, agent_commit, settle_needed, created_at, updated_at)
           VALUES (?, '/p', 'h', 'k', 'd', 'open', 1, 1, 'c', 'b', 'c', ?, 't', 't')`,
          [`s${n}`, n],
        );
        old.run(
          `INSERT INTO hunk (suggestion, revision, id, position, entry, kind, file, path, digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding, split_from, retired, diff)
           VALUES ('s0', 1, ?, ?, 0, 'text', 'f', 'f', 'digest', 1, 1, 1, 1, 0, 0, 'utf-8', ?, ?, x'00ff0a')`,
          [`s0:f:${n}`, n, n === 0 ? null : "s0:f:0", n],
        );
      }
      if (version > 1)
        old.run(
          "INSERT INTO hunk_state (hunk, mark, state, decision) VALUES (1, 'digest', 'accepted', '{}')",
        );
      old.close();

      const ledger = openLedger(path);
      expect(ledger.rows("SELECT id, settle_needed FROM suggestion ORDER BY id")).toEqual([
        { id: "s0", settle_needed: "no" },
        { id: "s1", settle_needed: "yes" },
        { id: "s2", settle_needed: "failed" },
      ]);
      const state = version > 1 ? "accepted" : "pending";
      const expected = ["no", "cut", "joined"].map((retired, n) => ({
        ...{ key: n + 1, id: `s0:f:${n}`, position: n, retired, split_from: n === 0 ? null : "s0:f:0" },
        state: n === 0 ? state : "pending",
        diff: "00FF0A",
      }));
      const columns = "key, id, position, retired, split_from, state, hex(diff) AS diff";
      expect(ledger.rows(`SELECT ${columns} FROM reviewed_hunk ORDER BY key`)).toEqual(expected);
      expect(ledger.rows(`SELECT ${columns} FROM standing_hunk`)).toEqual(expected.slice(0, 1));
      expect(ledger.rows("PRAGMA foreign_key_check")).toEqual([]);
      expect(ledger.rows("PRAGMA foreign_keys")).toEqual([{ foreign_keys: 1 }]);
      expect(ledger.rows("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
      // However it came there, it has the tables of a new one.
      expect(schemaOf(ledger.db)).toEqual(schemaOf(openLedger(place()).db));
      expect(existsSync(`${path}.v${version}.backup`)).toBe(true);
    });
  }

  test("from version 9: what was published before calls were remembered stays, and nothing is said to have made it", () => {
    const path = place();
    const old = new Database(path, { create: true, strict: true });
    old.run("CREATE TABLE migration (step INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT");
    for (const [index, { name, sql }] of MIGRATIONS.slice(0, 9).entries()) {
      old.run(sql);
      old.run("INSERT INTO migration (step, name) VALUES (?, ?)", [index + 1, name]);
    }
    old.run("PRAGMA application_id = 0x49414331");
    old.run("PRAGMA user_version = 9");
    old.run(
      `INSERT INTO suggestion (id, project, hub, change_id, description, state, revision, hunk_count, settled, settled_parent, agent_commit, created_at, updated_at)
       VALUES ('s', '/p', 'h', 'k', 'd', 'open', 1, 1, 'c', 'b', 'c', 't', 't')`,
    );
    old.run(
      `INSERT INTO revision (suggestion, n, base_commit, commit_id, base_tree, commit_tree, author, entries, warnings, created_at)
       VALUES ('s', 1, 'b', 'c', 'bt', 'ct', 'a', '[]', '[]', 't')`,
    );
    old.run(
      `INSERT INTO hunk (suggestion, revision, id, position, entry, kind, file, path, digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding, diff)
       VALUES ('s', 1, 's:f:0', 0, 0, 'text', 'f', 'f', 'digest', 1, 1, 1, 2, 0, 0, 'utf-8', x'00')`,
    );
    old.close();
    const ledger = openLedger(path);
    expect(ledger.rows("SELECT suggestion, last_change FROM revision")).toEqual([
      { suggestion: "s", last_change: 0 },
    ]);
    expect(why(ledger, "s", "s:f:0", "developer")).toMatchObject({
      lines: [
        { side: "removed", start: 2, count: 1, origin: "unknown", calls: [] },
        { side: "added", start: 2, count: 2, origin: "unknown", calls: [] },
      ],
      calls: [],
      tests: [],
    });
    expect(schemaOf(ledger.db)).toEqual(schemaOf(openLedger(place()).db));
  });

  test("and no other word is taken", () => {
    const ledger = openLedger(older(UNNAMED).path);
    const insert = (column: string, word: string) =>
      ledger.change(
        `INSERT INTO suggestion (id, project, hub, change_id, description, state, revision, hunk_count, settled, settled_parent, agent_commit, ${column}, created_at, updated_at)
         VALUES ('s', '/p', 'h', 'k', 'd', 'open', 1, 1, 'c', 'b', 'c', ?, 't', 't')`,
        word,
      );
    expect(() => insert("settle_needed", "soon")).toThrow("CHECK");
    expect(insert("settle_needed", "failed")).toBe(1);
    expect(() => ledger.change("UPDATE hunk SET retired = 'no'")).not.toThrow();
  });
});

test("E2: a ledger that was cut, wherever, is called damaged and left as it is", () => {
  const path = place();
  const ledger = Ledger.open(path);
  for (let n = 0; n < 200; n++) ledger.emit("project", status(`message ${n}`));
  ledger.close();
  const db = new Database(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  const whole = readFileSync(path);
  const PAGE = 4096;
  expect(whole.length).toBeGreaterThan(20 * PAGE);
  for (let pages = 1; pages < whole.length / PAGE; pages++) {
    const cut = whole.subarray(0, pages * PAGE);
    writeFileSync(path, cut);
    let thrown: unknown = null;
    try {
      openLedger(path);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "state_damaged", message: expect.stringContaining(path) });
    expect(readFileSync(path)).toEqual(Buffer.from(cut));
  }
});

test("a ledger that another process holds for a moment is waited for, and not called damaged", async () => {
  const path = place();
  // Made elsewhere: a connection that was closed in this process may keep its lock until it is collected.
  const source = join(import.meta.dir, "../../src/review/ledger/ledger.ts");
  const maker = `const { Ledger } = await import(${JSON.stringify(source)}); Ledger.open(${JSON.stringify(path)}).close();`;
  expect(Bun.spawnSync([process.execPath, "-e", maker], { stderr: "inherit" }).exitCode).toBe(0);
  const holder = `
    const { Database } = require("bun:sqlite");
    const db = new Database(${JSON.stringify(path)});
    db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("INSERT INTO event VALUES (1, '/p', 't', '{}')");
    console.log("held");
    Bun.sleepSync(400);
    db.close();`;
  const child = Bun.spawn([process.execPath, "-e", holder], { stdout: "pipe", stderr: "inherit" });
  expect((await child.stdout.getReader().read()).done).toBe(false);
  expect(openLedger(path).lastSeq()).toBe(1);
  expect(await child.exited).toBe(0);
});

describe("migrations are known by name", () => {
  const { length } = MIGRATIONS;
  const mutable = MIGRATIONS as Migration[];
  const own: Migration = { name: "ours", sql: "CREATE TABLE ours (x INTEGER) STRICT" };

  test("a ledger that another line of the program changed in as many steps is refused and left as it is", () => {
    const path = place();
    mutable.push({ name: "theirs", sql: "CREATE TABLE theirs (x INTEGER) STRICT" });
    try {
      Ledger.open(path).close();
    } finally {
      mutable.pop();
    }
    const before = readFileSync(path);
    mutable.push(own);
    try {
      expect(() => Ledger.open(path)).toThrow('changed by "theirs", where this program has "ours"');
    } finally {
      mutable.pop();
    }
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(() => Ledger.open(path)).toThrow("use a newer version");
  });

  test("a ledger with a step more than were ever without a name is refused", () => {
    const path = place();
    const old = new Database(path, { create: true, strict: true });
    for (const { sql } of MIGRATIONS.slice(0, UNNAMED)) old.run(sql);
    old.run("CREATE TABLE theirs (x INTEGER) STRICT");
    old.run("PRAGMA application_id = 0x49414331");
    old.run(`PRAGMA user_version = ${UNNAMED + 1}`);
    old.close();
    expect(() => Ledger.open(path)).toThrow(`where this program has "${MIGRATIONS[UNNAMED]?.name}"`);
  });

  test("the names are kept, each once, in order", () => {
    const path = place();
    Ledger.open(path).close();
    mutable.push(own);
    try {
      expect(openLedger(path).rows("SELECT step, name FROM migration ORDER BY step")).toEqual(
        MIGRATIONS.map(({ name }, index) => ({ step: index + 1, name })),
      );
    } finally {
      mutable.pop();
    }
    expect(new Set(MIGRATIONS.map(({ name }) => name)).size).toBe(length);
  });
});

describe("the journal", () => {
  test("replays byte for byte what listeners heard, in order and without gaps", () => {
    const ledger = openLedger(place());
    const heard: { seq: number; json: string }[] = [];
    ledger.subscribe((event, json) => heard.push({ seq: event.seq, json }));
    // A listener that causes events of its own does not make them overtake.
    let more = 3;
    ledger.subscribe(() => void (more-- > 0 && ledger.emit("/p", status("caused"))));
    ledger.transaction(() => {
      ledger.emit("/p", status("\u2028 \u0000 é 😀"));
      ledger.emit("/p", status("second"));
    });
    expect(heard).toEqual(ledger.eventTexts(0, 1000));
    expect(heard.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  test("tells nothing of a transaction that failed", () => {
    const ledger = openLedger(place());
    const heard: number[] = [];
    ledger.subscribe((event) => heard.push(event.seq));
    expect(() =>
      ledger.transaction(() => {
        ledger.emit("/p", status("never"));
        throw new Error("no");
      }),
    ).toThrow("no");
    ledger.emit("/p", status("first"));
    expect(heard).toEqual([1]);
  });

  test("tells events of another process in their place", () => {
    const path = place();
    const [one, two] = [openLedger(path), openLedger(path)];
    const heard: number[] = [];
    one.subscribe((event) => heard.push(event.seq));
    one.emit("/p", status("1"));
    two.emit("/p", status("2"));
    one.emit("/p", status("3"));
    two.emit("/p", status("4"));
    expect(one.noticeOthers()).toBe(true);
    expect(heard).toEqual([1, 2, 3, 4]);
  });

  test("tells events of another process that came between our own", () => {
    const path = place();
    const [one, two] = [openLedger(path), openLedger(path)];
    const heard: number[] = [];
    let first = true;
    one.subscribe((event) => {
      heard.push(event.seq);
      if (!first) return;
      first = false;
      one.emit("/p", status("2"));
      two.emit("/p", status("3"));
      one.emit("/p", status("4"));
    });
    one.emit("/p", status("1"));
    expect(heard).toEqual([1, 2, 3, 4]);
  });

  test("is written by several processes at once without losing or doubling an event", async () => {
    const path = place();
    const source = `
      import { Ledger } from ${JSON.stringify(join(import.meta.dir, "../../src/review/ledger/ledger.ts"))};
      const ledger = Ledger.open(${JSON.stringify(path)});
      for (let i = 0; i < 100; i++) await ledger.whenFree(() => ledger.emit("/p", { type: "suggestion.status", status: "working", message: process.argv[1] + " " + i }));
      ledger.close();`;
    const script = join(temporaryDirectory("writer"), "writer.ts");
    writeFileSync(script, source.replace("process.argv[1]", "process.argv[2]"));
    const children = ["a", "b", "c"].map((name) =>
      Bun.spawn([process.execPath, script, name], { stderr: "inherit" }),
    );
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0]);
    const ledger = openLedger(path);
    const messages = ledger
      .eventTexts(0, 1000)
      .map(({ json }) => (JSON.parse(json) as { message: string }).message);
    expect([messages.length, new Set(messages).size, ledger.lastSeq()]).toEqual([300, 300, 300]);
  });
});

describe("the feedback log", () => {
  const completed = {
    type: "suggestion.completed" as const,
    suggestion_id: "s",
    action: "discarded" as const,
    by: "developer" as const,
  };
  const setUp = () => {
    const ledger = openLedger(place());
    const path = join(temporaryDirectory("log"), "feedback.jsonl");
    return { ledger, path, log: new FeedbackLog(ledger, path) };
  };
  const sequence = (path: string): number[] =>
    readFileSync(path, "utf8")
      .split("\n")
      .flatMap((line) => {
        try {
          return [(JSON.parse(line) as { seq: number }).seq];
        } catch {
          return [];
        }
      });

  test("has one line for each thing the developer said", () => {
    const { ledger, path, log } = setUp();
    ledger.emit("/p", completed);
    ledger.emit("/p", status("not feedback"));
    log.catchUp();
    ledger.emit("/p", completed);
    log.catchUp();
    log.catchUp();
    expect(sequence(path)).toEqual([1, 3]);
  });

  test("goes on behind a last line that a crash tore", () => {
    const { ledger, path, log } = setUp();
    ledger.emit("/p", completed);
    log.catchUp();
    const whole = readFileSync(path, "utf8");
    ledger.emit("/p", completed);
    appendFileSync(path, '{"type":"suggestion.completed","seq":2,"ts":"20');
    new FeedbackLog(ledger, path).catchUp();
    new FeedbackLog(ledger, path).catchUp();
    expect(sequence(path)).toEqual([1, 2]);
    expect(readFileSync(path, "utf8")).toStartWith(whole);
  });

  test("neither loses nor doubles a line over restarts", () => {
    const { ledger, path } = setUp();
    for (let round = 0; round < 5; round++) {
      ledger.emit("/p", completed);
      new FeedbackLog(ledger, path).catchUp();
    }
    expect(sequence(path)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("settings", () => {
  const cases: [unknown, Record<string, string>, string][] = [
    [{ prot: 1 }, {}, "prot"],
    [{ port: 70_000 }, {}, "option port"],
    [{ port: "x" }, {}, "option port"],
    [{ sync: { branch: "" } }, {}, "option sync.branch"],
    [{ sync: { brnch: "a" } }, {}, "option sync"],
    [{ sync: { push_branches: ["refs/heads/main"] } }, {}, "option sync.push_branches.0"],
    [{ sync: { push_branches: ["to*pic"] } }, {}, "option sync.push_branches.0"],
    [{ verify: { timeout_seconds: 0 } }, {}, "option verify.timeout_seconds"],
    [{ log_level: "loud" }, {}, "option log_level"],
    [{}, { SUGGESTION_MANAGER_PORT: "none" }, "SUGGESTION_MANAGER_PORT"],
  ];
  for (const [options, env, named] of cases) {
    test(`that cannot be are refused by name: ${JSON.stringify(options)} ${JSON.stringify(env)}`, () => {
      expect(() => loadConfig(options, env)).toThrow(named);
    });
  }
  test("are options over environment over defaults", () => {
    const env = { HOME: "/home/a", SUGGESTION_MANAGER_PORT: "5000", XDG_STATE_HOME: "/state" };
    expect(loadConfig({}, env)).toMatchObject({
      port: 5000,
      host: "127.0.0.1",
      stateDir: "/state/suggestion-manager",
    });
    expect(loadConfig({ port: 6000, state_dir: "~/s" }, env)).toMatchObject({
      port: 6000,
      stateDir: "/home/a/s",
    });
  });
});
