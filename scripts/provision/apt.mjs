// @ts-check
// apt with every folder of its own: reads the machine's mirror, proxy and keys, writes only where it is told, needs no root.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { explainClientFailure, ProvisionError } from "./errors.mjs";
import { run } from "./run.mjs";
import {
  chooseArchive,
  parseDeb822Sources,
  parseIndexTargets,
  parseOneLineSources,
  targetsFormat,
} from "./sources.mjs";
import { parseCandidates } from "./suites.mjs";

/** @typedef {import("./sources.mjs").Archive} Archive */

const debianArchitectures = /** @type {Record<string, string>} */ ({ x64: "amd64", arm64: "arm64" });
const keyrings = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/** @returns {Promise<Archive>} */
export async function findArchive() {
  const targets = await run("apt-get", ["indextargets", "--format", targetsFormat, "Created-By: Packages"], {
    env: plainEnvironment(),
  });
  const archive = (targets.ok && parseIndexTargets(targets.stdout)) || chooseArchive(readSources("/etc/apt"));
  if (archive) return archive;
  throw new ProvisionError(
    "unsupported",
    "apt is set up here, but not for Debian's main archive, which has the missing tools ready-made.",
  );
}

/** @param {string} folder */
export function readSources(folder) {
  const list = join(folder, "sources.list");
  const parts = join(folder, "sources.list.d");
  const files = [
    list,
    ...(existsSync(parts)
      ? readdirSync(parts)
          .sort()
          .map((name) => join(parts, name))
      : []),
  ];
  return files.flatMap((file) => {
    try {
      if (file.endsWith(".list")) return parseOneLineSources(readFileSync(file, "utf8"));
      if (file.endsWith(".sources")) return parseDeb822Sources(readFileSync(file, "utf8"));
    } catch {
      // an entry this user may not read cannot be used either
    }
    return [];
  });
}

export class PrivateApt {
  /** @param {string} folder made here, thrown away by the caller */
  constructor(folder) {
    this.folder = folder;
    this.debs = join(folder, "cache", "archives");
    this.environment = { ...plainEnvironment(), APT_CONFIG: join(folder, "apt.conf") };
  }

  async prepare() {
    for (const name of ["state", "lists/partial", "cache/archives/partial", "sources"])
      mkdirSync(join(this.folder, name), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.folder, "status"), ""); // nothing counts as installed, so that the whole closure is fetched
    const dump = await run("apt-config", ["dump"], { env: plainEnvironment() });
    writeFileSync(join(this.folder, "apt.conf"), privateConfiguration(this.folder, dump.stdout), {
      mode: 0o600,
    });
  }

  /**
   * @param {Archive} archive
   * @param {string} suite
   */
  async update({ uri, signedBy }, suite) {
    // The archive's keyring first: an entry for the machine's own release may name a key that signs nothing newer.
    const keys = [...new Set([...keyrings.filter((path) => existsSync(path)).slice(0, 1), signedBy, ""])];
    /** @type {unknown} */
    let refusal;
    for (const key of keys) {
      const lines = [
        "Types: deb",
        `URIs: ${uri}`,
        `Suites: ${suite}`,
        "Components: main",
        ...(key ? [`Signed-By: ${key}`] : []),
      ];
      writeFileSync(join(this.folder, "sources", "archive.sources"), `${lines.join("\n")}\n`, {
        mode: 0o600,
      });
      try {
        return await this.#apt(
          "apt-get",
          ["update", "-o", "APT::Update::Error-Mode=any"],
          `read the package list of "${suite}"`,
        );
      } catch (error) {
        refusal ??= error;
        if (!(error instanceof ProvisionError) || error.code !== "signature") break;
      }
    }
    throw refusal;
  }

  /** @param {string[]} packages */
  async candidates(packages) {
    const policy = await this.#apt("apt-cache", ["policy", ...packages], "look up packages");
    return parseCandidates(policy.stdout);
  }

  /** @param {string[]} packages */
  async download(packages) {
    await this.#apt(
      "apt-get",
      ["install", "--yes", "--download-only", "--no-install-recommends", ...packages],
      `fetch ${packages.join(", ")}`,
    );
    return readdirSync(this.debs)
      .filter((name) => name.endsWith(".deb"))
      .map((name) => join(this.debs, name));
  }

  /**
   * @param {"apt-get" | "apt-cache"} program
   * @param {string[]} args
   * @param {string} what
   */
  async #apt(program, args, what) {
    const outcome = await run(program, args, { env: this.environment, timeout: 15 * 60_000 });
    if (!outcome.ok)
      throw explainClientFailure(
        "apt-get",
        what,
        outcome.output || String(outcome.error ?? outcome.signal),
        this.folder,
      );
    return outcome;
  }
}

// What reaches the archive (proxy, certificates, clock checks, credentials, extra keys) is the machine's; hooks are not: some images have one
// that empties the system's own cache after every update.
const inherited =
  /^(Acquire::(http|https|ftp|tor|Retries|ForceIPv|Check-|Max-|By-Hash)|Dir::Etc::(trusted|netrc))/i;

/**
 * @param {string} folder
 * @param {string} dump the output of `apt-config dump`
 */
export function privateConfiguration(folder, dump) {
  const architecture = debianArchitectures[process.arch] ?? process.arch;
  const own = {
    "Dir::State": join(folder, "state"),
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::Etc::sourcelist": "/dev/null",
    "Dir::Etc::sourceparts": join(folder, "sources"),
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "APT::Sandbox::User": "root", // the _apt user could not enter a private folder
    "APT::Install-Recommends": "false",
    "Acquire::Languages": "none",
    "Acquire::PDiffs": "false",
    "Acquire::http::Timeout": "20",
    "Acquire::https::Timeout": "20",
  };
  const lines = dump.split("\n").filter((line) => inherited.test(line));
  return [...lines, ...Object.entries(own).map(([key, value]) => `${key} "${value}";`), ""].join("\n");
}

function plainEnvironment() {
  return { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}
