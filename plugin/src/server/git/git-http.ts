/**
 * The shared repositories over git's smart HTTP protocol, `/git/<repository>.git`, through `git http-backend`. Any
 * token may fetch; a push needs the developer's and reaches only the branches the desk names.
 *
 * A developer's git sends the token from the environment, so that it is in no argv, URL or configuration file:
 *
 *     GIT_CONFIG_COUNT=1
 *     GIT_CONFIG_KEY_0=http.http://127.0.0.1:4097/.extraHeader
 *     GIT_CONFIG_VALUE_0="Authorization: Bearer $(cat <token file>)"
 *
 * or a credential helper prints `username=x` and `password=<token>`: below /git/ Basic authentication is taken too.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { ReviewError } from "../../protocol/errors.ts";
import type { Context } from "../context.ts";
import { SECURITY_HEADERS } from "../http/answers.ts";
import type { Identity, Role } from "../tokens/tokens.ts";
import { type GitRequest, type GitService, gitEnvironment, gitPlaceDirectories } from "./git-env.ts";
import { writeHooks } from "./git-hooks.ts";
import { GitTransfer } from "./git-transfer.ts";
import { removeOldSpools } from "./spool.ts";

/** Exactly the three requests of the smart protocol; a name has no separator and does not start with a dot. */
const ADDRESS =
  /^\/git\/([A-Za-z0-9_][A-Za-z0-9._-]{0,127}\.git)\/(info\/refs|git-upload-pack|git-receive-pack)$/;
/** No transfer takes so long; a spool older than this was left by a server that was killed. */
const OLD_SPOOL_MS = 24 * 3600 * 1000;
const SERVICES = new Set<string>(["git-upload-pack", "git-receive-pack"]);

export class GitHttp {
  readonly #context: Context;
  readonly #directories: { hooksDir: string; home: string };
  readonly #running = new Map<GitTransfer, Role>();

  constructor(context: Context) {
    this.#context = context;
    this.#directories = gitPlaceDirectories(context.config.stateDir);
    writeHooks(this.#directories.hooksDir, this.#directories.home);
    removeOldSpools(this.#directories.home, OLD_SPOOL_MS);
  }

  async handle(request: Request, url: URL, identity: Identity): Promise<Response> {
    const asked = this.#parse(request, url, identity);
    if (asked.service === "git-receive-pack" && identity.role !== "developer") {
      throw new ReviewError("forbidden", "Pushing needs the developer's token; the agent's may fetch");
    }
    // Counted by role: whatever the agent starts, the developer's transfers have their own places.
    const same = [...this.#running.values()].filter((role) => role === identity.role).length;
    if (same >= this.#context.limits.maxGitProcesses) {
      throw new ReviewError("rate_limited", "Too many git transfers at once; try again");
    }
    return this.#run(request, asked);
  }

  stop(): void {
    for (const transfer of this.#running.keys()) transfer.cut();
  }

  #parse(request: Request, url: URL, identity: Identity): GitRequest {
    const [, repository, action] = ADDRESS.exec(url.pathname) ?? [];
    if (repository === undefined || action === undefined || repository.includes("..")) {
      throw new ReviewError("not_found", "Expected /git/<repository>.git with git's smart HTTP protocol");
    }
    const method = action === "info/refs" ? "GET" : "POST";
    if (request.method !== method) throw new ReviewError("method_not_allowed", `Expected ${method}`);
    const service = action === "info/refs" ? url.searchParams.get("service") : action;
    if (service === null || !SERVICES.has(service)) {
      throw new ReviewError("forbidden", "Only git's smart HTTP protocol is served");
    }
    if (!this.#isDirectory(repository)) {
      throw new ReviewError("not_found", "No shared repository has this name");
    }
    return {
      service: service as GitService,
      action,
      repository,
      method,
      headers: request.headers,
      role: identity.role,
    };
  }

  /** A symbolic link in the hub's place would lead out of it. */
  #isDirectory(repository: string): boolean {
    try {
      return lstatSync(join(this.#context.desk.hubRoot(), repository)).isDirectory();
    } catch {
      return false;
    }
  }

  async #run(request: Request, asked: GitRequest): Promise<Response> {
    const { desk, limits, log } = this.#context;
    const hub = asked.repository.slice(0, -".git".length);
    const place = {
      hubRoot: desk.hubRoot(),
      ...this.#directories,
      pushableRefs: asked.service === "git-receive-pack" ? desk.pushableRefs(hub) : [],
      maxInputBytes: limits.gitInputBytes,
    };
    const transfer = new GitTransfer(this.#directories.home, limits);
    this.#running.set(transfer, asked.role);
    const cut = (): void => transfer.cut();
    request.signal.addEventListener("abort", cut);
    void transfer.ended.then(async ({ code, complaint }) => {
      this.#running.delete(transfer);
      request.signal.removeEventListener("abort", cut);
      if (code === null) return;
      if (code !== 0) log.warn("git http-backend failed", { code, action: asked.action, stderr: complaint });
      else if (asked.action === "git-receive-pack") await this.#pushed(hub);
    });
    const { head, body } = await transfer.exchange(request, (length) => gitEnvironment(asked, length, place));
    return new Response(body, { status: head.status, headers: { ...head.headers, ...SECURITY_HEADERS } });
  }

  async #pushed(hub: string): Promise<void> {
    this.#context.metrics.add("suggestion_manager_pushes_total", "Pushes into a hub that git accepted");
    try {
      await this.#context.desk.hubChanged(hub);
    } catch (error) {
      this.#context.log.error("following a push failed", { hub, error });
    }
  }
}
