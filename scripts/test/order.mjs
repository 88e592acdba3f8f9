// @ts-check
/** The order of the tests within their files: another in each run, so that none comes to lean on another. */

const MOST = 1_000_000;
const asked = process.env.SUGGESTION_ORDER;

/** What is wrong with the order that was asked for. */
export const problem =
  asked === undefined || (/^\d+$/.test(asked) && Number(asked) < MOST)
    ? null
    : `SUGGESTION_ORDER: expected a whole number below ${MOST}, got ${JSON.stringify(asked)}`;

/** The seed of this run's order. */
export const ORDER = asked === undefined ? Date.now() % MOST : Number(asked);
