/**
 * One server and one desk for each process, however many projects and however often the host loads the plugin:
 * opencode runs the plugin again for each directory and after each reload, the port is bound once.
 */
import type { Config } from "./config.ts";
import { ReviewError } from "./protocol/errors.ts";
import { Desk } from "./review/desk.ts";
import { createLog, type Log, PortTakenError, type RunningServer, startServer } from "./server/server.ts";
import { ensureTokens, openTokens } from "./server/tokens.ts";
import { VERSION } from "./version.ts";

export interface Host {
  desk: Desk;
  /** Null when another process of ours serves the port: it serves this one's suggestions too. */
  server: RunningServer | null;
  url: string;
  /** Where the developer's token is, if this user made it. */
  tokenFile: string;
  log: Log;
  stop(): Promise<void>;
}

/**
 * @param prepare runs before the port answers, so that who finds the server finds its projects too
 * @throws ReviewError when the port belongs to somebody else or the ledger cannot be used
 */
export async function startHost(
  config: Config,
  prepare: (desk: Desk) => Promise<void> = async () => {},
): Promise<Host> {
  const log = createLog(config.logLevel);
  const desk = new Desk(config);
  desk.onRemark = (level, message) => log[level](message);
  try {
    await prepare(desk);
    const paths = ensureTokens(config.stateDir);
    const tokens = openTokens(config.stateDir, (error) => log.error("the tokens cannot be read", { error }));
    let server: RunningServer | null = null;
    let url: string;
    try {
      server = await startServer({ config, desk, tokens, log, version: VERSION });
      url = server.url;
    } catch (thrown) {
      if (!(thrown instanceof PortTakenError) || thrown.owner !== "own-state") throw thrown;
      url = thrown.url;
      log.warn(thrown.message);
    }
    const stop = async () => {
      await server?.stop();
      desk.close();
    };
    return { desk, server, url, tokenFile: paths.developer, log, stop };
  } catch (thrown) {
    desk.close();
    if (thrown instanceof ReviewError) throw thrown;
    throw new ReviewError("internal", `The server could not start: ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
}
