// @ts-check
// Reading and comparing version numbers. Pure.

/**
 * The first version number in what a program prints: "jj 0.46.0", "NVIM v0.12.0-dev-7+gabc", "git version 2.39.5 (Apple Git-154)",
 * "tmux 3.3a", "tmux next-3.6". A pre-release counts as its release: whoever runs one knows why.
 * @param {string} text
 * @returns {string | undefined}
 */
export function parseVersion(text) {
  return /(?<![\w.])v?(\d+\.\d+(?:\.\d+)*)/.exec(text.replace(/\bnext-/g, ""))?.[1];
}

/**
 * Debian writes [epoch:]upstream[-revision] (Debian Policy, section 5.6.12); only the upstream part can be compared with a minimum.
 * @param {string} version
 */
export function upstreamVersion(version) {
  return parseVersion(version.replace(/^\d+:/, "").replace(/-[^-]*$/, ""));
}

/**
 * @param {string} left
 * @param {string} right
 * @returns {number} below zero when left is older
 */
export function compareVersions(left, right) {
  const [a, b] = [left, right].map((version) => version.split(".").map(Number));
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * @param {string | undefined} version
 * @param {string} minimum
 */
export function isAtLeast(version, minimum) {
  return version !== undefined && compareVersions(version, minimum) >= 0;
}
