// @ts-check
/**
 * Doors that no test has to go through, each with the reason why.
 * @type {Record<string, string>}
 */
export const EXEMPT = {
  "suite quick": "a selection from the other suites, left out of a whole run on purpose",
};
