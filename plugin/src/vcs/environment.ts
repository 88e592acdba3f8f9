/**
 * The environment of git, jj and what we start beside them. Whatever the server was started from (a hook, an alias, a
 * shell with GIT_DIR set), a program sees the repository it is given: of the variables that begin with `GIT_` only those
 * pass that say where git's parts and the user's settings are, who commits, and how the network is reached.
 * `nvim/lua/suggestion-review/lib/program.lua` holds the same rule for the client.
 */

const KEPT = [
  /^GIT_EXEC_PATH$/,
  /^GIT_TEMPLATE_DIR$/,
  /^GIT_CONFIG_GLOBAL$/,
  /^GIT_CONFIG_SYSTEM$/,
  /^GIT_CONFIG_NOSYSTEM$/,
  /^GIT_ATTR_NOSYSTEM$/,
  /^GIT_AUTHOR_/,
  /^GIT_COMMITTER_/,
  /^GIT_SSH$/,
  /^GIT_SSH_COMMAND$/,
  /^GIT_SSH_VARIANT$/,
  /^GIT_SSL_/,
  /^GIT_PROXY_/,
];

const passes = (name: string): boolean =>
  !name.startsWith("GIT_") || KEPT.some((pattern) => pattern.test(name));

/** @param extra set on top; undefined removes a variable */
export function programEnvironment(
  extra: Record<string, string | undefined> = {},
  from: Record<string, string | undefined> = process.env,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && passes(name)) environment[name] = value;
  }
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

/** Takes such variables out of a program's own environment, for a launcher whose children all inherit it. */
export function forgetForeignRepositories(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(environment)) if (!passes(name)) delete environment[name];
}
