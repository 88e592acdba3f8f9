/**
 * WebSocket close codes this server sends, as a table so that documents and tests cite one source. 1000–1015 are
 * RFC 6455 §7.4.1; 4000–4999 are ours (§7.4.2 leaves them to applications).
 */
export const CLOSE = {
  /** The server is stopping; reconnect and subscribe since the last seq. */
  goingAway: 1001,
  /** A binary message: this protocol is text only. */
  textOnly: 1003,
  /** The server failed to read its journal; reconnect. */
  serverError: 1011,
  /** The token this socket was opened with is no longer valid; read the token file again. */
  tokenRevoked: 4001,
  /** The client stopped reading; reconnect and subscribe since the last seq received. */
  tooSlow: 4008,
  /** More commands than the limits allow while earlier ones were refused. */
  rateLimited: 4029,
} as const;

export const CLOSE_CODES: { code: number; sentBy: "server" | "runtime"; meaning: string }[] = [
  { code: 1000, sentBy: "runtime", meaning: "Answer to the client's own close." },
  {
    code: CLOSE.goingAway,
    sentBy: "server",
    meaning: "The server is stopping. Reconnect and subscribe since the last seq.",
  },
  { code: CLOSE.textOnly, sentBy: "server", meaning: "A binary message came; messages are JSON text." },
  {
    code: 1006,
    sentBy: "runtime",
    meaning:
      "No close frame: a protocol error (unmasked or malformed frame, too big a message, invalid UTF-8), a ping left unanswered, or a cut connection.",
  },
  { code: CLOSE.serverError, sentBy: "server", meaning: "The journal could not be read. Reconnect." },
  {
    code: CLOSE.tokenRevoked,
    sentBy: "server",
    meaning: "The token was rotated. Read the token file again, then reconnect.",
  },
  {
    code: CLOSE.tooSlow,
    sentBy: "server",
    meaning:
      "The client took nothing off the socket for too long. Reconnect and subscribe since the last seq received: nothing is lost.",
  },
  { code: CLOSE.rateLimited, sentBy: "server", meaning: "Commands kept coming faster than the limit." },
];
