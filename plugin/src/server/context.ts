/** What the doors share: made once by `startServer`, passed to each of them. */
import type { Config } from "../config.ts";
import type { ReviewDesk } from "../review/contract.ts";
import type { ActivityFeed } from "./activity-feed.ts";
import type { Feed } from "./feed.ts";
import type { Limits } from "./limits.ts";
import type { ListTexts } from "./list-texts.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Buckets } from "./rate.ts";
import type { Role, Tokens } from "./tokens/tokens.ts";

export interface Context {
  config: Config;
  desk: ReviewDesk;
  tokens: Tokens;
  log: Log;
  version: string;
  limits: Limits;
  feed: Feed;
  activity: ActivityFeed;
  lists: ListTexts;
  metrics: Metrics;
  /** Requests and commands by token. */
  requests: Buckets;
  /** Refused requests by connection. */
  failures: Buckets;
  /** Port that is really listened on (the configured one may be 0). */
  port: number;
  /** What the proof of this server is signed for; see `boundAddresses`. */
  addresses: string[];
  startedAt: number;
  /** Open sockets and event streams. */
  connections: Connections;
}

/** Counts of what is open, by kind and by role: event streams, and calls over MCP, which may wait as long. */
export class Connections {
  sockets = 0;
  streams = 0;
  /** Sockets and streams of the agent's token, and its streams alone. */
  agents = 0;
  agentStreams = 0;

  get all(): number {
    return this.sockets + this.streams;
  }

  /** One stream more, or one less. */
  countStream(role: Role, by: 1 | -1): void {
    this.streams += by;
    if (role !== "agent") return;
    this.agents += by;
    this.agentStreams += by;
  }
}
