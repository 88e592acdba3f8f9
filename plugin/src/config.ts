/**
 * Settings, read once at start: the plugin's options over `suggestion_manager` in the host's own configuration over
 * the environment over defaults. A bad value is refused by name rather than replaced by a default.
 */
import { type Config, check, flatten, fromEnvironment, type Given, settle } from "./options.ts";

export { type Config, expandPath } from "./options.ts";

/**
 * @param options as given by the user; unknown keys are refused by name
 * @param env the process environment
 * @param fromFiles what the host's configuration says, for what the options leave open
 */
export function loadConfig(
  options: unknown,
  env: Record<string, string | undefined> = process.env,
  fromFiles: () => Given = () => ({}),
): Config {
  const where = "suggestion-manager option";
  const given = check(flatten(options ?? {}, where), (name) => `${where} ${name}`);
  return settle([given, fromFiles(), fromEnvironment(env)], env);
}
