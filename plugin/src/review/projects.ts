/** The projects of this process, and what goes on at each: its agent, the courier to it, a settle under way. */
import { ReviewError, toReviewError } from "../protocol/errors.ts";
import type { Project } from "../vcs/project.ts";
import { needsSettling, settle } from "./finish/settle.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { getSuggestion } from "./ledger/suggestion-rows.ts";
import type { AgentLink } from "./tell/agent-link.ts";
import { Courier } from "./tell/courier.ts";

/** A project of this process, with its agent if it has a session to talk to. */
export interface Host {
  project: Project;
  link: AgentLink | null;
  courier: Courier | null;
  settling: Promise<string[]> | null;
  /** The next try of a settle that did not hold, and how long it was waited for. */
  retry: { timer: ReturnType<typeof setTimeout> | null; delay: number };
}

/** Between two tries of a settle while something goes on writing: doubled each time. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

export class Hosts {
  readonly #ledger: Ledger;
  readonly #now: () => Date;
  readonly #failed: (what: string, error: unknown) => void;
  readonly #hosts = new Map<string, Host>();
  #stopped = false;

  /** @param failed told of what goes wrong aside from any request */
  constructor(ledger: Ledger, now: () => Date, failed: (what: string, error: unknown) => void) {
    this.#ledger = ledger;
    this.#now = now;
    this.#failed = failed;
  }

  /** Takes a project in; one that is known already gets another link to its agent. */
  add(project: Project, link: AgentLink | null): void {
    const { dir } = project;
    const fail = (error: unknown) => this.#failed("The agent could not be told", error);
    const before = this.#hosts.get(dir);
    before?.courier?.stop();
    const courier = link === null ? null : new Courier(this.#ledger, dir, link, fail);
    if (courier !== null) link?.serve(courier);
    if (before?.project === project) Object.assign(before, { link, courier });
    else
      this.#hosts.set(dir, {
        project,
        link,
        courier,
        settling: null,
        retry: { timer: null, delay: FIRST_RETRY_MS },
      });
  }

  stop(): void {
    this.#stopped = true;
    for (const host of this.all()) {
      host.courier?.stop();
      if (host.retry.timer !== null) clearTimeout(host.retry.timer);
    }
  }

  find(dir: string): Host | undefined {
    return this.#hosts.get(dir);
  }

  all(): Host[] {
    return [...this.#hosts.values()];
  }

  /** @param dir may be left out where there is only one */
  of(dir: string | undefined): Host {
    if (dir === undefined) {
      const [only, ...more] = this.#hosts.values();
      if (only === undefined) throw new ReviewError("not_found", "project: this server has no project yet");
      if (more.length > 0) {
        throw new ReviewError(
          "invalid_request",
          "project: this server has several projects; name the directory of one",
          {
            details: { projects: [...this.#hosts.keys()] },
          },
        );
      }
      return only;
    }
    const host = this.#hosts.get(dir);
    if (host === undefined) {
      throw new ReviewError("not_found", `project: ${dir} is not a project of this server`, {
        details: { projects: [...this.#hosts.keys()] },
      });
    }
    return host;
  }

  /** Where a suggestion lives. */
  projectOf(suggestionId: string): Project {
    const { project } = getSuggestion(this.#ledger, suggestionId);
    const host = this.#hosts.get(project);
    if (host === undefined) {
      throw new ReviewError(
        "not_found",
        `The project ${project} of this suggestion is not served here; start the server for it (if it was moved: with --moved-from), or discard the suggestion`,
        { details: { project } },
      );
    }
    return host.project;
  }

  /** The agent's session side. */
  linkOf(dir: string | undefined): AgentLink {
    const { link } = this.of(dir);
    if (link === null)
      throw new ReviewError(
        "nothing_to_do",
        "No agent session is reachable from this server: it runs outside opencode",
      );
    return link;
  }

  /** After a change: the agent is told, and its repository settled, where somebody is there to be quiet. */
  kick(projectDir: string): void {
    const host = this.#hosts.get(projectDir);
    if (host === undefined || host.link === null) return;
    host.courier?.wake();
    if (needsSettling(this.#ledger, projectDir, false) || host.project.followHub)
      void this.settleNow(host, false);
  }

  /** Settles once more when something was asked for while a settle was running. */
  async settleNow(host: Host, retryFailed: boolean): Promise<string[]> {
    const { project } = host;
    if (retryFailed)
      this.#ledger.change(
        "UPDATE suggestion SET settle_needed = 'yes' WHERE project = ? AND settle_needed = 'failed'",
        project.dir,
      );
    while (host.settling !== null) await host.settling;
    const isDue = needsSettling(this.#ledger, project.dir, false) || project.followHub;
    if (!isDue && (await project.jj.isCurrent(project.lookedAt))) return [];
    host.settling = settle({ ledger: this.#ledger, project, now: this.#now }).catch((error) => {
      this.#failed("Settling failed", error);
      return [toReviewError(error).message];
    });
    try {
      return await host.settling;
    } finally {
      host.settling = null;
      // What came of it may be for the agent to know.
      host.courier?.wake();
      this.#tryLater(host);
    }
  }

  /** What did not hold, with nobody to be told of it, is tried again by itself. */
  #tryLater(host: Host): void {
    const { retry } = host;
    if (this.#stopped || host.link === null) return;
    if (!needsSettling(this.#ledger, host.project.dir, false)) {
      retry.delay = FIRST_RETRY_MS;
      return;
    }
    if (retry.timer !== null) return;
    retry.timer = setTimeout(() => {
      retry.timer = null;
      if (!this.#stopped) void this.settleNow(host, false);
    }, retry.delay);
    retry.delay = Math.min(retry.delay * 2, LAST_RETRY_MS);
  }

  /** The agent has come to rest: what it did is looked at, and what could not be brought to it is tried again. */
  rest(projectDir: string): void {
    const host = this.#hosts.get(projectDir);
    if (host === undefined || host.link === null || this.#stopped) return;
    host.courier?.wake();
    void this.settleNow(host, true);
  }
}
