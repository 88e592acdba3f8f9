/**
 * One server and one desk for each process, however many projects and however often the host loads the plugin:
 * opencode runs the plugin again for each directory and after each reload, the port is bound once.
 */
import { Worktrees } from "./agent/worktrees.ts";
import type { Config } from "./config.ts";
import { ReviewError } from "./protocol/errors.ts";
import { damagedDesk } from "./review/damaged-desk.ts";
import { Desk } from "./review/desk.ts";
import { createLog, type Log, PortTakenError, type RunningServer, startServer } from "./server/server.ts";
import { ensureTokens, openTokens } from "./server/tokens/tokens.ts";
import { VERSION } from "./version.ts";

export interface Host {
  desk: Desk;
  /** What opencode has open, when this process is opencode. */
  worktrees: Worktrees;
  /** Null as long as another process of ours serves the port: it serves this one's suggestions too. */
  readonly server: RunningServer | null;
  url: string;
  /** Where the developer's token is, if this user made it. */
  tokenFile: string;
  log: Log;
  stop(): Promise<void>;
}

/** How often, in milliseconds, a process without the port looks whether it has come free. */
export const TAKE_OVER_MS = 2000;

/**
 * When another process of ours has the port, this one works on through the shared ledger, and takes the port over as
 * soon as the other has ended: clients find the same journal there and miss nothing.
 *
 * @param prepare runs before the port answers, so that who finds the server finds its projects too
 * @throws ReviewError when the port belongs to somebody else or the ledger cannot be used
 */
export async function startHost(
  config: Config,
  prepare: (desk: Desk) => Promise<void> = async () => {},
): Promise<Host> {
  const log = createLog(config.logLevel);
  await damaged?.stop();
  damaged = null;
  const desk = await openDesk(config, log);
  desk.onRemark = (level, message) => log[level](message);
  try {
    await prepare(desk);
    const paths = ensureTokens(config.stateDir);
    const tokens = openTokens(config.stateDir, (error) => log.error("the tokens cannot be read", { error }));
    let server: RunningServer | null = null;
    let url: string;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    let attempt: Promise<void> | null = null;
    const listen = async () => {
      server = await startServer({ config, desk, tokens, log, version: VERSION });
      return server.url;
    };
    const takeOverLater = () => {
      waiting = setTimeout(() => {
        attempt = listen().then(
          () => log.info("took the port over from a process that ended"),
          (error: unknown) => {
            if (!(error instanceof PortTakenError)) log.error("taking the port over failed", { error });
            takeOverLater();
          },
        );
      }, TAKE_OVER_MS).unref();
    };
    try {
      url = await listen();
    } catch (thrown) {
      if (!(thrown instanceof PortTakenError) || thrown.owner !== "own-state") throw thrown;
      url = thrown.url;
      log.warn(thrown.message);
      takeOverLater();
    }
    const stop = async () => {
      await attempt;
      clearTimeout(waiting);
      await server?.stop();
      desk.close();
    };
    return {
      desk,
      worktrees: new Worktrees(),
      get server() {
        return server;
      },
      url,
      tokenFile: paths.developer,
      log,
      stop,
    };
  } catch (thrown) {
    desk.close();
    if (thrown instanceof ReviewError) throw thrown;
    throw new ReviewError("internal", `The server could not start: ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
}

/** The server that answers for a ledger that cannot be used; at most one a process. */
let damaged: RunningServer | null = null;

/** The ledger cannot be used; `server` says so at `GET /health`, if the port was free. */
export class DamagedStateError extends ReviewError {
  readonly server: RunningServer | null;

  constructor(cause: ReviewError, server: RunningServer | null) {
    super(cause.code, cause.message, {
      cause,
      ...(cause.details === undefined ? {} : { details: cause.details }),
    });
    this.server = server;
  }
}

/** @throws DamagedStateError when the ledger is not whole: it is left untouched, and the port says why nothing works */
async function openDesk(config: Config, log: Log): Promise<Desk> {
  try {
    return new Desk(config);
  } catch (thrown) {
    if (!(thrown instanceof ReviewError) || thrown.code !== "state_damaged") throw thrown;
    try {
      ensureTokens(config.stateDir);
      const desk = damagedDesk(config.stateDir, thrown);
      const tokens = openTokens(config.stateDir);
      damaged = await startServer({ config, desk, tokens, log, version: VERSION });
    } catch (error) {
      log.warn("nothing can answer for the damaged state either", { error });
    }
    throw new DamagedStateError(thrown, damaged);
  }
}
