// @ts-check
/**
 * Doors that no test has to go through, each with the reason why.
 * @type {Record<string, string>}
 */
export const EXEMPT = {
  "suite quick": "a selection from the other suites, left out of a whole run on purpose",
};

/**
 * Doors that only root's run goes through: its test makes a second Unix user. Anybody else's run names them.
 *
 * @param {string} door
 */
export const needsRoot = (door) => door.startsWith("flag start ");
