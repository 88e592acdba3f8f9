/** The folders of the developer's side. */
import { chownSync, mkdirSync } from "node:fs";
import type { Identity } from "./identity.ts";
import type { DeveloperPlace } from "./places.ts";

export function makeDeveloperFolders(place: DeveloperPlace, owner: Identity): void {
  for (const folder of [place.dir, place.log]) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    if (owner.uid !== process.getuid?.()) chownSync(folder, owner.uid, owner.gid);
  }
}
