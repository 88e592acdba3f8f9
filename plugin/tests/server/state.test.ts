/** What a server does when its state is held, damaged, gone or full: it says what and what to do, and loses nothing. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { connect } from "./client.ts";
import { AgentRepository, Place } from "./place.ts";

setDefaultTimeout(60_000);

let at: Place;
afterEach(() => at.stop());

/** Another process that holds the ledger's write lock until it is told to let go. */
async function holdLedger(stateDir: string): Promise<{ release(): Promise<void> }> {
  const script = `
    import { Database } from "bun:sqlite";
    const db = new Database(process.argv[1]);
    db.run("BEGIN IMMEDIATE");
    console.log("held");
    for await (const _ of Bun.stdin.stream());
    db.run("ROLLBACK");`;
  const child = Bun.spawn([process.execPath, "-e", script, join(stateDir, "ledger.sqlite")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async release() {
      child.stdin.end();
      await child.exited;
    },
  };
}

describe("E1: another process holds the ledger's write lock", () => {
  test("E1: reads and /health go on, a decision is refused with Retry-After, and counts when tried again", async () => {
    at = await Place.open();
    const repository = await AgentRepository.add(at);
    const { id, hunks } = await repository.publish();
    const lock = await holdLedger(at.stateDir);
    const body = { suggestion_id: id, hunk_id: hunks[0]?.id, action: "accept", request_id: "e1-held" };
    const refused = at.ask("/feedback", { body });
    // Answered while the decision waits: nothing here can release the lock.
    for (const path of ["/health", "/suggestions", `/suggestions/${id}`, "/events?since=0"]) {
      expect((await at.ask(path)).status).toBe(200);
    }
    const answer = await refused;
    expect(answer.status).toBe(503);
    expect(answer.body.error.code).toBe("ledger_busy");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    const client = await connect(at);
    const said = await client.command({
      type: "feedback",
      suggestionId: id,
      hunkId: hunks[0]?.id,
      action: "accept",
    });
    expect(said).toMatchObject({ success: false, code: "ledger_busy" });
    client.close();
    expect(at.desk.get(id).reviewed_count).toBe(0);
    await lock.release();
    expect((await at.ask("/feedback", { body })).status).toBe(200);
    expect(at.desk.get(id).reviewed_count).toBe(1);
  });

  test("E1: a decision that meets a short lock waits for its end", async () => {
    at = await Place.open();
    const repository = await AgentRepository.add(at);
    const { id, hunks } = await repository.publish();
    const lock = await holdLedger(at.stateDir);
    const deciding = at.ask("/feedback", {
      body: { suggestion_id: id, hunk_id: hunks[0]?.id, action: "accept" },
    });
    await at.ask("/health");
    await lock.release();
    expect((await deciding).status).toBe(200);
  });

  test("E1: what was pushed is written down when the lock is gone", async () => {
    at = await Place.open();
    const repository = await AgentRepository.add(at);
    const { id } = await repository.publish();
    await at.ask("/feedback/batch", { body: { suggestion_id: id, scope: { action: "accept" } } });
    // Held from the moment of the push on, which is after the last write that can still be refused.
    const run = at.desk.ledger.change.bind(at.desk.ledger);
    let lock: Awaited<ReturnType<typeof holdLedger>> | null = null;
    let holding: Promise<void> | null = null;
    at.desk.ledger.change = (sql, ...values) => {
      const changed = run(sql, ...values);
      if (/SET finalizing = \?/.test(sql)) {
        holding = Bun.sleep(0).then(async () => {
          lock = await holdLedger(at.stateDir);
        });
      }
      return changed;
    };
    const finalizing = at.ask("/complete", { body: { suggestion_id: id, action: "finalize" } });
    while (holding === null) await Bun.sleep(1);
    await holding;
    expect((await at.ask("/health")).status).toBe(200);
    await (lock as unknown as Awaited<ReturnType<typeof holdLedger>>).release();
    const answer = await finalizing;
    expect(answer.status).toBe(200);
    expect(at.desk.get(id).state).toBe("finalized");
  });
});

describe("E7: Idempotency-Key", () => {
  test("E7: is honoured like request_id, quoted or not, and must not contradict it", async () => {
    at = await Place.open();
    const repository = await AgentRepository.add(at);
    const { id, hunks } = await repository.publish();
    for (const hunk of hunks.slice(0, 2)) {
      await at.ask("/feedback", { body: { suggestion_id: id, hunk_id: hunk.id, action: "accept" } });
    }
    const undo = (key: string, extra: object = {}) =>
      at.ask("/undo", { body: { suggestion_id: id, ...extra }, headers: { "Idempotency-Key": key } });
    const first = await undo("undo-1");
    expect(first.body.reviewed_count).toBe(1);
    expect((await undo("undo-1")).body).toEqual(first.body);
    expect((await undo('"undo-1"')).body).toEqual(first.body);
    expect(at.desk.get(id).reviewed_count).toBe(1);
    const other = await at.ask("/undo", {
      body: { suggestion_id: id, hunk_id: hunks[0]?.id },
      headers: { "Idempotency-Key": "undo-1" },
    });
    expect(other.body.error.code).toBe("request_reused");
    const both = await undo("undo-2", { request_id: "undo-3" });
    expect(both.status).toBe(400);
    expect(both.body.error.message).toContain("Idempotency-Key");
    const long = await undo("x".repeat(1000));
    expect(long.status).toBe(400);
    expect(long.body.error.details.field).toBe("request_id");
  });
});
