/**
 * The server is killed at random moments while a developer decides and an agent edits, publishes and settles. What
 * was confirmed is there afterwards, once; what was not can be asked again; the agent's repository just works.
 *
 *     SUGGESTION_LONG=1 bun test plugin/tests/e2e-engine/kill.test.ts     500 kills
 */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { HEALTHY, numbered, type Repo, repoWith } from "../support/repo.ts";
import { Served } from "../support/served.ts";

const LONG = process.env.SUGGESTION_LONG === "1";
const KILLS = Number(process.env.SUGGESTION_KILLS ?? (LONG ? 520 : 25));
const FILES = 6;
const LINES = 60;

const random = (below: number): number => Math.floor(Math.random() * below);
const choose = <T>(from: T[]): T => from[random(from.length)] as T;

interface Sent {
  request_id: string;
  suggestion_id: string;
  hunk_id: string;
  action: "accept" | "reject";
  digest: string;
  comment: string;
}

class World {
  /** Confirmed decisions in the order of their confirmation, with the revision they fell in. */
  readonly confirmed: (Sent & { revision: number; seq: number })[] = [];
  unconfirmed: Sent | null = null;
  suggestion = "";
  change = "";
  #hunks: { id: string; digest: string }[] = [];
  #count = 0;
  lastSeq = 0;
  publishes = 0;
  settles = 0;

  constructor(readonly repo: Repo) {}

  async firstPublish(served: Served): Promise<void> {
    this.agentEdits(3);
    this.change = await this.repo.changeId();
    await this.publish(served);
  }

  agentEdits(times: number): void {
    for (let i = 0; i < times; i++) {
      const path = `file${random(FILES)}`;
      const lines = this.repo.read(path).split("\n");
      lines[random(LINES)] = `edit ${++this.#count}`;
      this.repo.file(path, lines.join("\n"));
    }
  }

  async publish(served: Served): Promise<void> {
    const body = { description: "Edits", change_id: this.change, project: this.repo.dir };
    const { status, body: answer } = await served.post("/suggestions", body, "agent");
    if (status === 201) {
      this.suggestion = answer.suggestion_id;
      this.publishes++;
    } else if (!["nothing_to_do", "unpublishable"].includes(answer.error.code)) {
      throw new Error(`publish: ${JSON.stringify(answer)}`);
    }
    await this.look(served);
  }

  async look(served: Served): Promise<void> {
    this.#hunks = await served.hunks(this.suggestion);
  }

  /** The developer decides, one request after the other, until the server is gone. */
  async decideOn(served: Served): Promise<void> {
    for (;;) {
      const hunk = choose(this.#hunks);
      const number = ++this.#count;
      const sent: Sent = {
        request_id: `request-${number}`,
        suggestion_id: this.suggestion,
        hunk_id: hunk.id,
        action: Math.random() < 0.7 ? "accept" : "reject",
        digest: hunk.digest,
        comment: `decision ${number}`,
      };
      await this.send(served, sent);
    }
  }

  async send(served: Served, sent: Sent): Promise<void> {
    this.unconfirmed = sent;
    const { status, body } = await served.post("/feedback", sent);
    if (status === 200) {
      this.confirmed.push({ ...sent, revision: body.revision, seq: body.seq });
      this.lastSeq = Math.max(this.lastSeq, body.seq);
    } else if (body.error.code === "not_found" || body.error.code === "stale_hunk") {
      // A new revision was published meanwhile.
      await this.look(served);
    } else {
      throw new Error(`feedback: ${JSON.stringify(body)}`);
    }
    this.unconfirmed = null;
  }

  /** The agent works, publishes its change again, or lets it settle, until the server is gone. */
  async agentOn(served: Served): Promise<void> {
    for (;;) {
      if (Math.random() < 0.5) {
        this.agentEdits(2);
        const squashed = await this.repo.try("squash", "--into", this.change, "--use-destination-message");
        if (squashed.exitCode !== 0) throw new Error(`the agent's own jj failed: ${squashed.stderr}`);
        await this.publish(served);
      } else {
        const { status, body } = await served.post("/settle", { project: this.repo.dir }, "agent");
        if (status !== 200) throw new Error(`settle: ${JSON.stringify(body)}`);
        this.settles++;
      }
    }
  }
}

/** Work that ends because its server was killed ends as expected. */
async function untilKilled(work: Promise<void>, killed: () => boolean): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!killed()) throw thrown;
  }
}

/** Every confirmed decision is in the journal once, and the hunk is as the last of them left it. */
function checkLedger(world: World, state: string): void {
  const db = new Database(join(state, "ledger.sqlite"), { readonly: true });
  const journal = db
    .query<{ comment: string; n: number }, []>(
      `SELECT json_extract(json, '$.comment') AS comment, count(*) AS n FROM event
       WHERE type = 'suggestion.hunk_applied' AND json_extract(json, '$.carried') IS NULL GROUP BY comment`,
    )
    .all();
  const times = new Map(journal.map(({ comment, n }) => [comment, n]));
  const lost = world.confirmed.filter((one) => !times.has(one.comment));
  const doubled = journal.filter(({ n }) => n !== 1);
  expect({ lost, doubled }).toEqual({ lost: [], doubled: [] });

  const last = new Map(world.confirmed.map((one) => [`${one.revision} ${one.hunk_id}`, one]));
  if (world.unconfirmed !== null) {
    for (const key of [...last.keys()]) if (key.endsWith(` ${world.unconfirmed.hunk_id}`)) last.delete(key);
  }
  const row = db.query<{ state: string }, [string, number, string]>(
    "SELECT state FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND id = ?",
  );
  for (const one of last.values()) {
    const state = row.get(one.suggestion_id, one.revision, one.hunk_id)?.state;
    expect([one.comment, state]).toEqual([one.comment, one.action === "accept" ? "accepted" : "rejected"]);
  }
  const { last: seq, n } = db.query("SELECT max(seq) AS last, count(*) AS n FROM event").get() as {
    last: number;
    n: number;
  };
  expect({ gaps: seq - n, reached: seq >= world.lastSeq }).toEqual({ gaps: 0, reached: true });
  expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  db.close();
}

describe("a server killed at any moment", () => {
  test(
    `loses nothing and doubles nothing in ${KILLS} kills`,
    async () => {
      const files = Object.fromEntries(
        Array.from({ length: FILES }, (_, file) => [`file${file}`, numbered(LINES)]),
      );
      const world = new World(await repoWith(files));
      let served = await Served.start(world.repo);
      await world.firstPublish(served);
      for (let kill = 0; kill < KILLS; kill++) {
        let killed = false;
        const work = [
          untilKilled(world.decideOn(served), () => killed),
          untilKilled(world.agentOn(served), () => killed),
        ];
        // Mostly in the middle of something; now and then the agent gets some of its work done.
        await Promise.race([Bun.sleep(random(kill % 4 === 0 ? 3000 : 600)), Promise.all(work)]);
        killed = true;
        await served.kill();
        await Promise.all(work);
        checkLedger(world, served.state);

        served = await Served.start(world.repo);
        // Asked again, an unconfirmed decision is made once, whether or not it had been made already.
        const open = world.unconfirmed;
        await world.look(served);
        if (open !== null) await world.send(served, open);
        expect(await world.repo.health()).toEqual(HEALTHY);
      }
      await world.look(served);
      checkLedger(world, served.state);
      const settled = await served.post("/settle", { project: world.repo.dir }, "agent");
      expect(settled.status).toBe(200);
      await served.kill("SIGTERM");
      if (LONG || process.env.SUGGESTION_KILLS !== undefined) {
        console.log(
          `${KILLS} kills, ${world.confirmed.length} confirmed decisions, ${world.publishes} publishes, ${world.settles} settles`,
        );
      }
    },
    LONG ? 7_200_000 : 600_000,
  );
});
