/** For an agent that no link tells of decisions: it asks, and the answer comes when there is one. */
import { z } from "zod";
import type { ReviewDesk } from "../review/contract.ts";
import { PATIENCE_MS, PAUSE_MS } from "../review/tell/courier.ts";
import { answer, type Caller, type DeskTool, inProject, type Toolbox } from "./desk-tools.ts";

/**
 * Longest a call waits, in seconds, and when nothing is said: clients of the protocol give up on an answer after a
 * minute, and what was given to one that has given up is heard by nobody.
 */
const LONGEST = 50;
const USUAL = 45;

/** How long, in milliseconds, is listened for whether somebody decides just now, who is let finish then. */
const GRACE_MS = 250;

const WaitRequest = z.strictObject({ seconds: z.int().min(0).max(LONGEST).default(USUAL) });

export const waitForFeedback = (toolbox: Toolbox): DeskTool => ({
  description: `Wait until the developer has decided something, and hear it: each decision with its reason. Rejected hunks are taken out of your files before you hear of them, so edit nothing meanwhile. Answers after at most the given seconds; call it again if nothing came.`,
  args: {
    seconds: z.int().optional().describe(`Longest time to wait; ${USUAL} if left out, at most ${LONGEST}`),
  },
  run: (args, caller) =>
    answer(WaitRequest, args, async ({ seconds }) => {
      const told = await firstFeedback(toolbox, seconds * 1000, caller);
      return told ?? `Nothing was decided within ${seconds} s.`;
    }),
});

/** What was decided since the agent last heard; null when the time is over. Taken only while the caller is there. */
async function firstFeedback(
  { desk, project }: Toolbox,
  wait: number,
  caller: Caller,
): Promise<string | null> {
  const { signal } = caller;
  const until = Date.now() + wait;
  const decisions = listen(desk);
  try {
    let came = await decisions.came(Math.min(GRACE_MS, wait), signal);
    for (;;) {
      if (came) await decisions.rest(until, signal);
      if (signal?.aborted) return null;
      const isThere = () => caller.isThere?.() !== false && !signal?.aborted;
      const { feedback, settled, message } = await desk.settle(inProject({}, project), "agent", isThere);
      if (feedback.length > 0) return [...feedback, ...(settled ? [] : [message])].join("\n\n");
      came = Date.now() < until && (await decisions.came(until - Date.now(), signal));
      if (!came) return null;
    }
  } finally {
    decisions.end();
  }
}

interface Decisions {
  /** Whether something was decided since it was asked last, or is within `wait` milliseconds. */
  came(wait: number, signal: AbortSignal | undefined): Promise<boolean>;
  /** Resolves when nothing more is decided for now, or it has been waited long enough; `until` leaves room for one rest. */
  rest(until: number, signal: AbortSignal | undefined): Promise<void>;
  end(): void;
}

function listen(desk: ReviewDesk): Decisions {
  let heard = false;
  let wake: (() => void) | null = null;
  const unsubscribe = desk.subscribe((event) => {
    // Of another project's too: it is looked at what there is for this one.
    if (!event.type.startsWith("suggestion.") || event.type === "suggestion.status") return;
    heard = true;
    wake?.();
  });
  async function came(wait: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (!heard && wait > 0 && !signal?.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(resolve, wait);
      signal?.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      clearTimeout(timer);
      wake = null;
    }
    const did = heard;
    heard = false;
    return did && !signal?.aborted;
  }
  return {
    came,
    async rest(until, signal) {
      const patience = Math.min(Date.now() + PATIENCE_MS, Math.max(until, Date.now() + PAUSE_MS));
      while (Date.now() + PAUSE_MS <= patience && (await came(PAUSE_MS, signal)));
    },
    end: unsubscribe,
  };
}
