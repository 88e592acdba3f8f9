/**
 * The environment `git http-backend` runs in. It gets what CGI asks for (RFC 3875) and nothing of the server's own:
 * no user or system configuration, no hooks of the repository, no credentials.
 */
import { join } from "node:path";
import type { Role } from "../tokens/tokens.ts";

export type GitService = "git-upload-pack" | "git-receive-pack";

export interface GitRequest {
  service: GitService;
  /** `info/refs`, `git-upload-pack` or `git-receive-pack`. */
  action: string;
  repository: string;
  method: string;
  headers: Headers;
  role: Role;
}

export interface GitPlace {
  hubRoot: string;
  hooksDir: string;
  /** HOME, working directory and place of spools; git finds nothing there. */
  home: string;
  /** Full refs a push may update; a trailing * matches any rest. */
  pushableRefs: string[];
  maxInputBytes: number;
}

/** Name the hook reads its list from; see hooks/pre-receive as written by `git-hooks.ts`. */
export const PUSHABLE_REFS = "SUGGESTION_MANAGER_PUSHABLE_REFS";

export function gitEnvironment(
  request: GitRequest,
  contentLength: number,
  place: GitPlace,
  from: Record<string, string | undefined> = process.env,
): Record<string, string> {
  const settings: [string, string][] = [
    // A hook that the agent left in the repository must not run for a push of the developer's.
    ["core.hooksPath", place.hooksDir],
    ["core.fsmonitor", "false"],
    ["http.receivepack", request.role === "developer" ? "true" : "false"],
    ["http.uploadpack", "true"],
    ["http.getanyfile", "false"],
    // The client fetches what it verifies by commit id.
    ["uploadpack.allowAnySHA1InWant", "true"],
    ["receive.denyDeletes", "true"],
    ["receive.denyNonFastForwards", "true"],
    ["receive.denyCurrentBranch", "ignore"],
    ["receive.maxInputSize", String(place.maxInputBytes)],
    ["receive.autogc", "false"],
    ["gc.auto", "0"],
    ["maintenance.auto", "false"],
  ];
  const environment: Record<string, string> = {
    PATH: from.PATH ?? "/usr/bin:/bin",
    HOME: place.home,
    LANG: "C",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: String(settings.length),
    GIT_PROJECT_ROOT: place.hubRoot,
    GIT_HTTP_EXPORT_ALL: "1",
    GATEWAY_INTERFACE: "CGI/1.1",
    REQUEST_METHOD: request.method,
    PATH_INFO: `/${request.repository}/${request.action}`,
    QUERY_STRING: request.action === "info/refs" ? `service=${request.service}` : "",
    REMOTE_USER: request.role,
    REMOTE_ADDR: "127.0.0.1",
    CONTENT_LENGTH: String(contentLength),
    CONTENT_TYPE: request.headers.get("content-type") ?? "",
    [PUSHABLE_REFS]: place.pushableRefs.join("\n"),
  };
  for (const [index, [key, value]] of settings.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key;
    environment[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  // A privately unpacked git finds its parts by these.
  for (const name of ["GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"]) {
    const value = from[name];
    if (value !== undefined) environment[name] = value;
  }
  const encoding = request.headers.get("content-encoding");
  if (encoding === "gzip" || encoding === "x-gzip") environment.HTTP_CONTENT_ENCODING = encoding;
  const protocol = request.headers.get("git-protocol");
  if (protocol !== null && /^[a-z0-9=:.-]{1,64}$/.test(protocol)) environment.GIT_PROTOCOL = protocol;
  return environment;
}

export function gitPlaceDirectories(stateDir: string): { hooksDir: string; home: string } {
  return { hooksDir: join(stateDir, "git-http", "hooks"), home: join(stateDir, "git-http", "home") };
}
