/**
 * The one hook that runs on a push: it refuses the whole push when any ref of it is not on the list of pushable
 * ones. git itself hands it every ref that the push would change, so nothing has to be guessed from the wire.
 */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PUSHABLE_REFS } from "./git-env.ts";

/** POSIX sh only. A pattern's trailing * is the only wildcard; everything else is compared literally. */
const PRE_RECEIVE = `#!/bin/sh
# Written by suggestion-manager at every start. Reads "<old> <new> <ref>" lines (githooks(5), pre-receive).
allowed() {
  while IFS= read -r pattern; do
    case "$pattern" in
      "") ;;
      *'*') prefix=\${pattern%?}
        case "$1" in "$prefix"?*) return 0 ;; esac ;;
      *) [ "$1" = "$pattern" ] && return 0 ;;
    esac
  done <<PATTERNS
$${PUSHABLE_REFS}
PATTERNS
  return 1
}
refused=0
while read -r old new ref; do
  case "$new" in
    *[!0]*) ;;
    *) echo "refused: $ref may not be deleted here" >&2; refused=1; continue ;;
  esac
  if ! allowed "$ref"; then
    echo "refused: $ref is not a branch that may be pushed to here" >&2
    refused=1
  fi
done
[ "$refused" = 0 ] || { echo "Nothing of this push was taken." >&2; exit 1; }
`;

export function writeHooks(hooksDir: string, home: string): void {
  mkdirSync(hooksDir, { recursive: true, mode: 0o700 });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const path = join(hooksDir, "pre-receive");
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, PRE_RECEIVE, { mode: 0o700 });
  chmodSync(temporary, 0o700);
  renameSync(temporary, path);
}
