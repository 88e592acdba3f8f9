/** The quiet moment: what waits for what. */
import { describe, expect, test } from "bun:test";
import { ToolGate } from "../../src/agent/quiet.ts";

const soon = () => Bun.sleep(5);

/** A promise that can be looked at. */
function watched(promise: Promise<unknown>): { done: boolean; failed: unknown } {
  const state = { done: false, failed: undefined as unknown };
  promise.then(
    () => {
      state.done = true;
    },
    (error) => {
      state.failed = error;
    },
  );
  return state;
}

/** Work that lasts until it is told to end. */
function work(): { run: () => Promise<void>; end: () => void; started: () => boolean } {
  let end = () => {};
  let started = false;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    run: () => {
      started = true;
      return ended;
    },
    end: () => end(),
    started: () => started,
  };
}

describe("quiet work", () => {
  test("runs at once when no call runs", async () => {
    expect(await new ToolGate().run(async () => "done")).toBe("done");
  });

  test("waits for the running call to end", async () => {
    const gate = new ToolGate();
    await gate.enter("bash", "c1", "s");
    const quiet = work();
    const run = watched(gate.run(quiet.run));
    await soon();
    expect(quiet.started()).toBe(false);
    gate.leave("c1", "s");
    await soon();
    expect(quiet.started()).toBe(true);
    quiet.end();
    await soon();
    expect(run.done).toBe(true);
  });

  test("waits for every one of parallel calls", async () => {
    const gate = new ToolGate();
    await gate.enter("bash", "c1", "s");
    await gate.enter("write", "c2", "s");
    const quiet = work();
    void gate.run(quiet.run);
    gate.leave("c1", "s");
    await soon();
    expect(quiet.started()).toBe(false);
    gate.leave("c2", "s");
    await soon();
    expect(quiet.started()).toBe(true);
    quiet.end();
  });

  test("a call told to have ended twice, or never begun, counts once", async () => {
    const gate = new ToolGate();
    await gate.enter("bash", "c1", "s");
    gate.leave("unknown", "s");
    gate.leave("c1", "s");
    gate.leave("c1", "s");
    expect(await gate.run(async () => 1)).toBe(1);
  });

  test("does not wait for a container, whose own calls come by themselves", async () => {
    const gate = new ToolGate();
    await gate.enter("task", "t", "parent");
    await gate.enter("bash", "c", "child");
    const quiet = work();
    void gate.run(quiet.run);
    await soon();
    expect(quiet.started()).toBe(false);
    gate.leave("c", "child");
    await soon();
    expect(quiet.started()).toBe(true);
    quiet.end();
  });

  test("one at a time, in the order it was asked for; a failure ends only itself", async () => {
    const gate = new ToolGate();
    const order: number[] = [];
    const first = gate.run(async () => {
      order.push(1);
      throw new Error("first");
    });
    const second = gate.run(async () => {
      order.push(2);
    });
    await expect(first).rejects.toThrow("first");
    await second;
    expect(order).toEqual([1, 2]);
    const entered = watched(gate.enter("bash", "c", "s"));
    await soon();
    expect(entered.done).toBe(true);
  });
});

describe("a new call", () => {
  test("is held while quiet work runs, then runs", async () => {
    const gate = new ToolGate();
    const quiet = work();
    void gate.run(quiet.run);
    await soon();
    const entered = watched(gate.enter("write", "c", "s"));
    await soon();
    expect(entered.done).toBe(false);
    quiet.end();
    await soon();
    expect(entered.done).toBe(true);
  });

  test("held calls all come through, and the next quiet work waits for them", async () => {
    const gate = new ToolGate();
    const quiet = work();
    void gate.run(quiet.run);
    await soon();
    const entered = ["a", "b", "c"].map((id) => watched(gate.enter("write", id, "s")));
    const next = work();
    void gate.run(next.run);
    quiet.end();
    await soon();
    expect(entered.every(({ done }) => done) || !next.started()).toBe(true);
    next.end();
    for (const id of ["a", "b", "c"]) gate.leave(id, "s");
    await soon();
    expect(entered.every(({ done }) => done)).toBe(true);
  });

  test("that was held when its turn was stopped must not happen any more", async () => {
    const gate = new ToolGate();
    const quiet = work();
    void gate.run(quiet.run);
    await soon();
    const stopped = watched(gate.enter("write", "c", "stopped"));
    const other = watched(gate.enter("write", "d", "other"));
    gate.abort("stopped");
    quiet.end();
    await soon();
    expect(String(stopped.failed)).toContain("aborted");
    expect(other.done).toBe(true);
    gate.leave("d", "other");
    expect(await gate.run(async () => "free")).toBe("free");
  });

  test("of a later turn of a stopped session runs", async () => {
    const gate = new ToolGate();
    gate.abort("s");
    await soon();
    const entered = watched(gate.enter("write", "c", "s"));
    await soon();
    expect(entered.done).toBe(true);
  });
});

test("a session that is idle has no running calls left, whatever was missed", async () => {
  const gate = new ToolGate();
  await gate.enter("bash", "lost", "s");
  await gate.enter("bash", "other", "t");
  gate.clear("s");
  const quiet = work();
  void gate.run(quiet.run);
  await soon();
  expect(quiet.started()).toBe(false);
  gate.leave("other", "t");
  await soon();
  expect(quiet.started()).toBe(true);
  quiet.end();
});

test("a call's name counts in its session: another's of the same name ends and pauses it not", async () => {
  const gate = new ToolGate();
  await gate.enter("bash", "call_1", "s");
  await gate.enter("bash", "call_1", "t");
  const quiet = work();
  void gate.run(quiet.run);
  gate.leave("call_1", "t");
  await soon();
  expect(quiet.started()).toBe(false);
  gate.pause("call_1", "t");
  gate.leave("call_1", "u");
  await soon();
  expect(quiet.started()).toBe(false);
  gate.leave("call_1", "s");
  await soon();
  expect(quiet.started()).toBe(true);
  quiet.end();
});
