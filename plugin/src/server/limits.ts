/**
 * Every bound of the doors in one place: HTTP, WebSocket, event streams, git. A caller overrides single ones; tests do
 * so to reach a bound quickly. How much is answered at once: `protocol/sizes.ts`.
 */
export interface Limits {
  /** Largest JSON request body. */
  bodyBytes: number;
  /** A JSON body that has not arrived by then is given up (408). */
  bodyMs: number;
  /** Largest WebSocket message in either direction; bigger answers are paged. */
  messageBytes: number;
  /** Sockets and event streams together. */
  maxSockets: number;
  /** Of those, how many the agent's token may hold, so that it cannot keep the developer out. */
  maxAgentSockets: number;
  /** Commands of one socket that may be under way at once. */
  maxInFlight: number;
  /** Sustained requests and commands a second for one token, and how many may come at once. */
  requestsPerSecond: number;
  requestBurst: number;
  /** Refused requests a second for one connection before 429 takes the place of 401. */
  failuresPerSecond: number;
  failureBurst: number;
  /**
   * A reader that takes nothing off its socket for this long is dropped. What the kernel holds for it (some megabytes)
   * counts as taken and hides its progress meanwhile, so seconds rather than less.
   */
  stallMs: number;
  /** Time a socket gets to take the close frame before its connection is cut. */
  closeGraceMs: number;
  /** Idle time of a plain HTTP connection, in seconds. The runtime gives headers 10 to 12 s, however they drip. */
  httpIdleSeconds: number;
  /** A socket that answers no ping for this long is dropped, in seconds. */
  socketIdleSeconds: number;
  /** Bytes of events after which an event stream ends and its client is to reconnect (see event-stream.ts). */
  streamBytes: number;
  /** Event streams at once, and how many of them the agent's token may hold. */
  maxStreams: number;
  maxAgentStreams: number;
  /** Interval of the comment line that keeps an event stream alive. */
  heartbeatMs: number;
  /** How often live sockets are checked for stalls and revoked tokens. */
  sweepMs: number;
  /** git transfers at once for each role, and the largest pack a push may bring. */
  maxGitProcesses: number;
  gitInputBytes: number;
  /** A push of which no byte comes for this long is given up; so is a git that runs for longer than `gitRunMs`. */
  gitIdleMs: number;
  gitRunMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 8 * 1024 * 1024,
  bodyMs: 25_000,
  messageBytes: 1024 * 1024,
  maxSockets: 512,
  maxAgentSockets: 64,
  maxInFlight: 64,
  requestsPerSecond: 1000,
  requestBurst: 5000,
  failuresPerSecond: 5,
  failureBurst: 20,
  stallMs: 15_000,
  closeGraceMs: 2000,
  httpIdleSeconds: 30,
  socketIdleSeconds: 60,
  streamBytes: 4 * 1024 * 1024,
  maxStreams: 64,
  maxAgentStreams: 16,
  heartbeatMs: 15_000,
  sweepMs: 500,
  maxGitProcesses: 8,
  gitInputBytes: 2 * 1024 * 1024 * 1024,
  gitIdleMs: 60_000,
  gitRunMs: 600_000,
};
