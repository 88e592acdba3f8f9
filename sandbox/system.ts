/** The machine's own programs, libraries and settings, as far as they are there. */
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from "node:fs";

export type Shown =
  /** A file or folder shown at its own place, read-only. */
  { kind: "folder"; path: string } | { kind: "link"; path: string; target: string };

const FOLDERS = /^(usr|bin|sbin|lib\w*|etc|opt|nix|gnu)$/;
/** What a program would learn of the machine's keys if it ran as root. */
const SECRET = ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"];
const SECRET_FOLDERS = ["/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private"];

export interface System {
  shown: Shown[];
  hiddenFiles: string[];
  hiddenFolders: string[];
}

export function readSystem(): System {
  const shown = readdirSync("/")
    .filter((name) => FOLDERS.test(name))
    .map((name): Shown => {
      const path = `/${name}`;
      return lstatSync(path).isSymbolicLink()
        ? { kind: "link", path, target: readlinkSync(path) }
        : { kind: "folder", path };
    });
  // Names are looked up by what this file says, wherever it is kept.
  const resolver = existsSync("/etc/resolv.conf") ? realpathSync("/etc/resolv.conf") : null;
  if (resolver !== null && !resolver.startsWith("/etc/")) shown.push({ kind: "folder", path: resolver });
  return {
    shown,
    hiddenFiles: SECRET.filter((path) => existsSync(path)),
    hiddenFolders: SECRET_FOLDERS.filter((path) => existsSync(path)),
  };
}
