// @ts-check
// Which suite of the archive is new enough for what is needed. Pure.
import { isAtLeast, upstreamVersion } from "./versions.mjs";

/** "testing" moves on with Debian's releases; its present code name stays when it becomes the next stable. */
export const suiteNames = ["testing", "forky"];

/**
 * @param {string} text what `apt-cache policy` prints in the C locale
 * @returns {Map<string, string>} package → candidate version, as Debian writes it
 */
export function parseCandidates(text) {
  /** @type {Map<string, string>} */
  const candidates = new Map();
  let name = "";
  for (const line of text.split("\n")) {
    const heading = /^(\S+):$/.exec(line);
    if (heading) name = heading[1];
    const candidate = /^\s+Candidate:\s*(\S+)/.exec(line)?.[1];
    if (name && candidate && candidate !== "(none)") candidates.set(name, candidate);
  }
  return candidates;
}

/**
 * @param {{package: string, minimum: string}[]} needs
 * @param {Map<string, string>} candidates
 * @returns {string[]} one phrase per need that is not met
 */
export function unmetNeeds(needs, candidates) {
  return needs.flatMap((need) => {
    const candidate = candidates.get(need.package);
    if (candidate === undefined) return [`no ${need.package}`];
    return isAtLeast(upstreamVersion(candidate), need.minimum)
      ? []
      : [`${need.package} ${candidate}, older than ${need.minimum}`];
  });
}
