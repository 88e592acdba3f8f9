// @ts-check
// Finds the machine's own Debian main archive in apt's configuration: one-line and deb822 formats (sources.list(5)). Pure.

/**
 * @typedef {object} Source
 * @property {string[]} types
 * @property {string[]} uris
 * @property {string[]} suites
 * @property {string[]} components
 * @property {string} signedBy paths or an embedded key; "" when the entry has none
 */

/** @typedef {{uri: string, signedBy: string}} Archive */

/**
 * @param {string} text
 * @returns {Source[]}
 */
export function parseOneLineSources(text) {
  /** @type {Source[]} */
  const sources = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (!match) continue;
    const [, type, options = "", uri, suite, components] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1] ?? "";
    sources.push({ types: [type], uris: [uri], suites: [suite], components: words(components), signedBy });
  }
  return sources;
}

/**
 * @param {string} text
 * @returns {Source[]}
 */
export function parseDeb822Sources(text) {
  /** @type {Source[]} */
  const sources = [];
  for (const paragraph of text
    .replace(/\r/g, "")
    .replace(/^#.*\n?/gm, "")
    .split(/\n[ \t]*\n/)) {
    const fields = parseFields(paragraph);
    if (!fields.has("uris") || /^(no|false|without|off|disable|0)$/i.test(fields.get("enabled") ?? ""))
      continue;
    sources.push({
      types: words(fields.get("types")),
      uris: words(fields.get("uris")),
      suites: words(fields.get("suites")),
      components: words(fields.get("components")),
      signedBy: fields.get("signed-by") ?? "",
    });
  }
  return sources;
}

/** @param {string} paragraph */
function parseFields(paragraph) {
  /** @type {Map<string, string>} */
  const fields = new Map();
  let name = "";
  for (const line of paragraph.split("\n")) {
    const start = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (start) {
      name = start[1].toLowerCase();
      fields.set(name, start[2].trim());
    } else if (/^\s/.test(line) && name) {
      fields.set(name, `${fields.get(name)}\n${line}`); // a continuation keeps its indentation: an embedded key needs it
    }
  }
  return fields;
}

// The names under which Debian's main archive serves a suite; security and other archives use other names or paths.
const debianSuites =
  /^(oldoldstable|oldstable|stable|testing|unstable|sid|experimental|bullseye|bookworm|trixie|forky|duke)(-(updates|backports|proposed-updates))?$/;

/**
 * @param {Source[]} sources
 * @returns {Archive | undefined} the entry that most looks like Debian's main archive
 */
export function chooseArchive(sources) {
  /** @type {{archive: Archive, score: number}[]} */
  const candidates = [];
  for (const source of sources) {
    if (!source.types.includes("deb") || !source.components.includes("main")) continue;
    if (!source.suites.some((suite) => debianSuites.test(suite))) continue;
    for (const uri of source.uris) {
      if (/^cdrom:/.test(uri) || /security/.test(uri)) continue;
      const looksRight =
        (/\/debian\/?$/.test(uri) ? 2 : 0) + (/debian-archive/.test(source.signedBy) ? 1 : 0);
      candidates.push({ archive: { uri, signedBy: source.signedBy }, score: looksRight });
    }
  }
  candidates.sort((a, b) => b.score - a.score);
  return candidates[0]?.archive;
}

export const targetsFormat = "$(REPO_URI)|$(LABEL)|$(COMPONENT)|$(SIGNED_BY)";

/**
 * What `apt-get indextargets` knows comes from the archive's signed Release file, so the label can be trusted: "Debian" is the main
 * archive, "Debian-Security" and others are not. Nothing is printed before the machine's first `apt-get update`.
 * @param {string} text one line per target, in targetsFormat
 * @returns {Archive | undefined}
 */
export function parseIndexTargets(text) {
  for (const line of text.split("\n")) {
    const [uri, label, component, signedBy = ""] = line.split("|");
    if (label === "Debian" && component === "main" && !/^cdrom:/.test(uri))
      return { uri, signedBy: signedBy.startsWith("/") ? signedBy.trim() : "" };
  }
  return undefined;
}

/** @param {string | undefined} text */
function words(text) {
  return (text ?? "").split(/\s+/).filter(Boolean);
}
