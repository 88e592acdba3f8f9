/**
 * Version of the protocol, in `GET /health` and in the answer to `subscribe`. It goes up when a client made for the one
 * before would misunderstand something; fields, events and commands that are only added leave it as it is.
 */
export const PROTOCOL_VERSION = 1;
