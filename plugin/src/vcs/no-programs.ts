/**
 * Settings under which a repository's own settings and hooks start no program: whoever may write a repository would else
 * decide what runs as the user who only looks at it. Given on the command line, where they count before everything.
 */

/** For git: hooks, and what is run by `update-ref`, `fetch` and whatever reads an index. */
export const NO_GIT_PROGRAMS: readonly string[] = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.attributesFile=/dev/null",
  "commit.gpgSign=false",
  "tag.gpgSign=false",
  "log.showSignature=false",
].flatMap((setting) => ["-c", setting]);

/**
 * For jj. Nothing is signed, whatever the settings say: a key that waits for a passphrase would stop a publish without a
 * word; jj's own word for that is drop.
 */
export const NO_JJ_PROGRAMS: readonly string[] = [
  'signing.behavior="drop"',
  "git.sign-on-push=false",
  'git.executable-path="git"',
  'fsmonitor.backend="none"',
  'ui.paginate="never"',
  'ui.editor="false"',
  'ui.diff-formatter=":git"',
].flatMap((setting) => ["--config", setting]);
