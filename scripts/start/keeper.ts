/**
 * Keeps opencode running: when it ends by itself it is started again, after a pause that doubles each time it does not
 * last, and this is told. Gives up when it cannot be kept up.
 */
import { type Opencode, tailOf } from "./opencode.ts";
import { say, sentenceOf } from "./report.ts";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Who ran this long is not in a loop of crashes. */
const LASTED_MS = 60_000;
const ATTEMPTS = 6;

/** The launcher ends instead. */
const NEVER = new Promise<never>(() => {});

export interface Keeper {
  /** The one that runs now, or ran last. */
  readonly current: Opencode;
  /** Settles with a sentence when it is not started again any more. */
  ended: Promise<string>;
}

/**
 * @param startAgain starts a new one, after clearing what the dead one left
 * @param isStopping whether everything is being taken down, so that its end is wanted
 */
export function keepRunning(
  first: Opencode,
  startAgain: () => Promise<Opencode>,
  isStopping: () => boolean,
): Keeper {
  let current = first;
  const watch = async (): Promise<string> => {
    for (let attempt = 0; ; ) {
      const since = performance.now();
      let why = await current.child.ended;
      if (isStopping()) return NEVER;
      if (performance.now() - since > LASTED_MS) attempt = 0;
      for (;;) {
        if (++attempt >= ATTEMPTS) return `${why}, ${attempt} times in a row`;
        const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
        say(`${why}: it is started again in ${pause / 1000} s; a turn that was running is cut off`);
        await Bun.sleep(pause);
        if (isStopping()) return NEVER;
        try {
          current = await startAgain();
          say("opencode runs again; the review goes on where it was");
          break;
        } catch (error) {
          why = `opencode could not be started again (${sentenceOf(error).split("\n")[0]})`;
        }
      }
    }
  };
  return {
    get current() {
      return current;
    },
    ended: watch(),
  };
}

/** The sentence for the end, with the last lines of its log. */
export const lastOf = (why: string, log: string): string => `${why}. The end of ${log}:\n${tailOf(log)}`;
