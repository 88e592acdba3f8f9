/** Which demo or project a command of `npm run sandbox` is about. */
import { existsSync, realpathSync } from "node:fs";
import { findDeveloper, type Identity } from "./identity.ts";
import {
  type DeveloperPlace,
  demoDirs,
  developerPlace,
  projectDir,
  projectDirs,
  readState,
} from "./places.ts";
import { StartError } from "./report.ts";
import { inspectRepository } from "./repository.ts";
import { type Work, workIn } from "./works.ts";

/** Folders of the developer's side of everything that is there. */
export const allDirs = (): string[] => [...demoDirs(), ...projectDirs()];

/** @throws StartError for what is no repository */
export async function placeOfRepository(repository: string, developer: Identity): Promise<DeveloperPlace> {
  const { dir } = await inspectRepository(repository, developer);
  return developerPlace(projectDir(dir), dir);
}

/**
 * What is set up for a repository, or the only thing that is set up where none is named.
 * @throws StartError where it is not, or not clear
 */
export async function setUpFor(repository: string | null): Promise<{ work: Work; developer: Identity }> {
  const developer = findDeveloper();
  const there = allDirs().filter((dir) => readState(developerPlace(dir)) !== null);
  const named = repository !== null && existsSync(repository) ? realpathSync(repository) : repository;
  const isNamed = (dir: string) => {
    const checkout = readState(developerPlace(dir))?.checkout;
    return checkout !== undefined && (existsSync(checkout) ? realpathSync(checkout) : checkout) === named;
  };
  const found = repository === null ? there : there.filter(isNamed);
  const [dir, ...more] = found;
  if (dir === undefined)
    throw new StartError(
      repository === null
        ? "Nothing is set up: npm run sandbox -- up <repository>"
        : `Nothing is set up for ${repository}: npm run sandbox -- up ${repository}`,
    );
  if (more.length > 0) {
    const names = found.map((one) => readState(developerPlace(one))?.checkout ?? one);
    throw new StartError(`Name one of ${names.join(", ")}`, 2);
  }
  return { work: await workIn(dir, developer), developer };
}
