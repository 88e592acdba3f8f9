// @ts-check
/** Compares the doors there are with those that were gone through. Pure: lines in, a verdict out. */

/**
 * @typedef {object} Door
 * @property {string} door
 * @property {string} suite the one that has to go through it, by itself
 */
/** @typedef {{doors: Door[], routes: [string, string][]}} Catalogue */
/**
 * @typedef {object} Verdict
 * @property {string[]} proven
 * @property {string[]} missing doors of the suites that ran
 * @property {string[]} exempted
 * @property {string[]} root not gone through, and for root alone to go through, which this run is not
 * @property {string[]} elsewhere not gone through, and not for the suites that ran to go through
 * @property {string[]} problems what is wrong with the list of exemptions
 */

/** @param {string} path @returns {RegExp} */
const patternOf = (path) =>
  new RegExp(`^${path.replace(/[.*+?^$()[\]{}|\\]/g, "\\$&").replace(/:[a-z]+/gi, () => "[^/]+?")}$`);

/**
 * @param {string[]} lines JSON, as the suites wrote them
 * @param {[string, string][]} routes in the order in which they are tried
 * @returns {Set<string>}
 */
export function doorsIn(lines, routes) {
  const table = routes.map(([method, path]) => ({ method, path, pattern: patternOf(path) }));
  /** What may still be taken back, by its use. @type {Map<string, string[]>} */
  const uses = new Map();
  /** @type {Set<string>} */
  const found = new Set();
  for (const line of lines) {
    const entry = JSON.parse(line);
    if (entry.taken_back !== undefined) uses.delete(entry.taken_back);
    else if (entry.use !== undefined) uses.set(entry.use, [...(uses.get(entry.use) ?? []), entry.door]);
    else if (entry.door !== undefined) found.add(entry.door);
    else {
      const [method, path] = entry.http;
      const route = table.find((one) => one.method === method && one.pattern.test(path));
      if (route !== undefined) found.add(`rest ${method} ${route.path}`);
    }
  }
  for (const door of [...uses.values()].flat()) found.add(door);
  return found;
}

/**
 * @param {Catalogue} catalogue
 * @param {string[]} lines
 * @param {Record<string, string>} exempt sentence by door
 * @param {string[]} suites names of those that ran
 * @param {(door: string) => boolean} [notHere] what this run cannot go through for want of root
 * @returns {Verdict}
 */
export function judge(catalogue, lines, exempt, suites, notHere = () => false) {
  const seen = doorsIn(lines, catalogue.routes);
  const known = new Set(catalogue.doors.map(({ door }) => door));
  /** @type {Verdict} */
  const verdict = { proven: [], missing: [], exempted: [], root: [], elsewhere: [], problems: [] };
  for (const { door, suite } of catalogue.doors) {
    if (seen.has(door)) verdict.proven.push(door);
    else if (exempt[door] !== undefined) verdict.exempted.push(door);
    else if (suites.includes(suite) && notHere(door)) verdict.root.push(door);
    else if (suites.includes(suite)) verdict.missing.push(door);
    else verdict.elsewhere.push(door);
  }
  for (const [door, why] of Object.entries(exempt)) {
    if (!known.has(door)) verdict.problems.push(`${door}: exempt, and there is no such door`);
    else if (seen.has(door))
      verdict.problems.push(`${door}: exempt, and was gone through: take it off the list`);
    else if (why.trim() === "") verdict.problems.push(`${door}: exempt without a reason`);
  }
  return verdict;
}
