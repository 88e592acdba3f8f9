/**
 * Whatever comes in whatever order while an approval waits (answers, an abort, the end of host and review server, a
 * reload, clients that go): what ran was approved, so and no other way. SUGGESTION_LONG=1: 100 of them.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { Turn } from "../../../demo/model/script.ts";
import type { PermissionEntry } from "../../src/protocol/activity.ts";
import type { Client } from "../server/client.ts";
import { bash } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";
import { calls, WaitingPlace } from "./waiting-place.ts";

const TIMES = process.env.SUGGESTION_LONG === "1" ? 100 : 20;
const SEED = Number(process.env.SUGGESTION_SEED ?? 1);
setDefaultTimeout(60_000 * TIMES);

/** The same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Told {
  by: string;
  /** Null where no answer came, which says nothing. */
  status: number | null;
}

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("interleavings", () => {
  let at: WaitingPlace;

  beforeAll(async () => {
    at = await WaitingPlace.open();
    await at.place.publish();
  });
  afterAll(() => at?.close());

  /** Which of the files there are: of what was asked, and of what was made of it. */
  const ran = (n: number) => ({
    asked: existsSync(at.path(`asked-${n}`)),
    edited:
      existsSync(at.path(`edited-${n}`)) ||
      (existsSync(at.path(`written-${n}`)) && readFileSync(at.path(`written-${n}`), "utf8") === "mine\n"),
    written:
      existsSync(at.path(`written-${n}`)) && readFileSync(at.path(`written-${n}`), "utf8") === "theirs\n",
  });

  test(`nothing ran that was not approved, ${TIMES} times`, async () => {
    const random = numbers(SEED);
    const pick = <One>(of: readonly One[]): One => of[Math.floor(random() * of.length)] as One;
    const shuffled = <One>(of: readonly One[]): One[] =>
      of
        .map((one) => [random(), one] as const)
        .sort(([a], [b]) => a - b)
        .map(([, one]) => one);
    const kept: { n: number; session: string; told: Told[]; script: string }[] = [];

    for (let n = 0; n < TIMES; n++) {
      const writes = random() < 0.4;
      const turn: Turn = writes
        ? calls("write", { filePath: at.path(`written-${n}`), content: "theirs\n" })
        : bash(`touch asked-${n}`);
      const change = writes ? { content: "mine\n" } : { command: `touch edited-${n}` };
      const session = await at.begun(turn);
      const { id, editable } = await at.asked(session);
      expect(editable).toBe(true);
      const clients: Client[] = [await at.client(), await at.client()];
      const told: Told[] = [];
      const answers = {
        once: { reply: "once" },
        edit: { reply: "edit", arguments: change },
        reject: { reply: "reject", message: "no" },
        end: { reply: "reject" },
      };
      const overHttp = (by: keyof typeof answers) => async () => {
        const answer = await at.answer(id, answers[by]).catch(() => null);
        told.push({ by, status: answer?.status ?? null });
      };
      const overSocket = (by: keyof typeof answers, leave: boolean) => async () => {
        const [client] = clients;
        const request = { permission_id: id, ...answers[by] };
        const answer = client?.command({ type: "permission", request }).catch(() => null);
        if (leave) client?.close();
        const got = await answer;
        told.push({ by, status: got == null ? null : got.success === true ? 200 : 409 });
      };
      const restart = (end: () => Promise<void>) => async () => {
        await end();
        await at.place.opencode.start();
      };
      const steps: Record<string, () => Promise<unknown>> = {
        once: overHttp("once"),
        edit: overHttp("edit"),
        "edit over the socket": overSocket("edit", false),
        "once over a socket that goes": overSocket("once", true),
        reject: overHttp("reject"),
        "reject without words": overHttp("end"),
        abort: () => at.place.opencode.desk("/abort", { session_id: session }).catch(() => null),
        "abort at the host": () => at.place.opencode.call(`/session/${session}/abort`, {}).catch(() => null),
        "clients go": async () => {
          for (const client of clients) client.close();
        },
        reload: () => at.place.opencode.call("/instance/dispose", {}).catch(() => null),
        kill: restart(() => at.place.opencode.kill()),
        stop: restart(async () => {
          const { pid } = at.place.opencode;
          process.kill(pid, "SIGTERM");
          await until("it has ended", () => !isRunning(pid), 30_000);
          await at.place.opencode.kill();
        }),
      };
      // A restart takes seconds: of the others there are more.
      const harmless = Object.keys(steps).filter((name) => name !== "kill" && name !== "stop");
      const chosen = new Set([pick(harmless), pick(harmless), pick(harmless)]);
      if (n % 5 === 4) chosen.add(pick(["kill", "stop"]));
      const order = shuffled([...chosen]);
      const going: Promise<unknown>[] = [];
      for (const name of order) {
        going.push((steps[name] as () => Promise<unknown>)());
        if (random() < 0.6) await Bun.sleep(random() * 40);
      }
      await Promise.all(going);
      for (const client of clients) client.close();
      // What still waits is ended, so that the next one finds nothing.
      await until("nothing waits", async () => {
        if ((await at.permissions()).every((one) => one.id !== id)) return true;
        await at.answer(id, answers.reject);
        return false;
      });
      kept.push({ n, session, told, script: `${n}: ${order.join(", ")}` });
      await until("its turn is over", async () => {
        const states = await at.place.opencode.call<Record<string, { type: string }>>("/session/status");
        return (states[session]?.type ?? "idle") === "idle";
      });
    }

    // By the end of another turn what was late would be done.
    const last = await at.begun(bash("true"));
    await at.ended(last);
    for (const { n, session, told, script } of kept) {
      const entries = await at.permissionsOf(session);
      const [entry] = entries as [PermissionEntry];
      const { asked, written, edited } = ran(n);
      const reply = entry.state === "answered" ? entry.reply : "none";
      const about = { script, told, reply, asked, written, edited };
      // Only the approved form, and only where it is written down as approved.
      if (asked || written) expect({ ...about, reply }).toEqual({ ...about, reply: "once", edited: false });
      if (edited)
        expect({ ...about, reply }).toEqual({ ...about, reply: "edit", asked: false, written: false });
      // Who was told of success was first, and is the one that is written down.
      const firsts = told.filter(({ status }) => status === 200);
      expect({ ...about, firsts: firsts.length }).toEqual({ ...about, firsts: Math.min(firsts.length, 1) });
      for (const { by } of firsts)
        expect({ ...about, by: reply }).toEqual({ ...about, by: by === "end" ? "reject" : by });
      expect({ ...about, entries: entries.length }).toEqual({ ...about, entries: 1 });
    }
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
