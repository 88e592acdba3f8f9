/**
 * The worktrees that opencode has open. It runs the plugin once for each directory that is asked for, and again after
 * each reload: all instances of one worktree are one agent, with one gate, whose tools are counted together.
 */
import { join } from "node:path";
import { toReviewError } from "../protocol/errors.ts";
import type { Desk } from "../review/desk.ts";
import { FileMemory } from "../vcs/file-memory.ts";
import type { Project } from "../vcs/project.ts";
import { ActivityRelay } from "./activity/relay.ts";
import { Approvals } from "./approvals/approvals.ts";
import { Approved } from "./approvals/approved.ts";
import { CallMemory } from "./call-memory.ts";
import { TOOL_NAMES } from "./desk-tools.ts";
import { AgentProcesses, releaseForgotten } from "./processes.ts";
import { ToolGate } from "./quiet.ts";
import { reportRefusedCalls } from "./refused-calls.ts";
import { RefusedFiles } from "./refused-files.ts";
import type { SessionLink } from "./session-link.ts";
import { TurnRelay } from "./turns.ts";

/** One run of the plugin. */
export interface Instance {
  link: SessionLink;
  /** Sessions whose tools it has told of. */
  sessions: Set<string>;
}

export class Worktree {
  readonly processes = new AgentProcesses();
  readonly gate = new ToolGate(this.processes);
  readonly turns: TurnRelay;
  readonly activity: ActivityRelay;
  readonly approvals: Approvals;
  readonly refused: RefusedFiles;
  readonly #instances: Instance[] = [];

  constructor(
    private readonly desk: Desk,
    readonly dir: string,
  ) {
    releaseForgotten();
    this.turns = new TurnRelay(desk.ledger, dir, this.gate, this.processes, {
      rested: () => desk.agentRests(dir),
      tellable: () => desk.agentListens(dir),
    });
    const approved = new Approved();
    this.activity = new ActivityRelay({
      journal: desk.activity,
      project: dir,
      gate: this.gate,
      approved,
      failed: (error) => desk.onRemark("error", `The agent's activity: ${toReviewError(error).message}`),
    });
    this.approvals = new Approvals(this.activity.asks, approved);
    this.refused = new RefusedFiles((refusal) => {
      desk
        .refusals({ refusals: [refusal], project: dir }, "developer")
        .catch((error) => desk.onRemark("error", `What was refused: ${toReviewError(error).message}`));
    });
  }

  /** The one that the agent is spoken to through; what any instance hears is for it to know. */
  get link(): SessionLink {
    return this.#link;
  }
  #link!: SessionLink;

  /** What the agent's calls change. */
  get memory(): CallMemory {
    return this.#memory;
  }
  #memory!: CallMemory;

  #remember(project: Project): CallMemory {
    const open = async () => {
      const store = await project.jj.store();
      return FileMemory.open(join(this.desk.callsRoot(), `${project.hubName}.git`), project.dir, store.dir);
    };
    const memory = new CallMemory({
      ledger: this.desk.ledger,
      project: project.dir,
      files: open(),
      ownTools: TOOL_NAMES,
      hasLeftovers: () => this.processes.running().length > 0,
      failed: (error) =>
        this.desk.onRemark("error", `What a call changed is not remembered: ${toReviewError(error).message}`),
    });
    project.memory = memory;
    return memory;
  }

  /** The agent is spoken to through the latest instance. */
  async join(link: SessionLink): Promise<Instance> {
    const instance = { link, sessions: new Set<string>() };
    this.#instances.push(instance);
    this.#link = link;
    const project = await this.desk.addProject(this.dir, { gate: this.gate, link });
    this.#memory ??= this.#remember(project);
    return instance;
  }

  /** Whether events of the review are logged through this one: each is to be logged once. */
  speaks(instance: Instance): boolean {
    return this.#instances.at(-1) === instance;
  }

  /** What ran in an instance ends with it, told or not. */
  async leave(instance: Instance): Promise<void> {
    for (const session of instance.sessions) {
      this.gate.clear(session);
      this.memory.clear(session);
    }
    this.activity.asks.leave(instance.link.host);
    const spoke = this.speaks(instance);
    const at = this.#instances.indexOf(instance);
    if (at >= 0) this.#instances.splice(at, 1);
    const next = this.#instances.at(-1);
    // Without another one the link stays: the host opens the directory again when it is asked for something.
    if (spoke && next !== undefined)
      await this.desk.addProject(this.dir, { gate: this.gate, link: next.link });
  }
}

export class Worktrees {
  readonly #open = new Map<string, Worktree>();

  /** @param dir the worktree's root, with every symbolic link resolved */
  of(desk: Desk, dir: string): Worktree {
    const known = this.#open.get(dir);
    if (known !== undefined) return known;
    const made = new Worktree(desk, dir);
    // The rings are around one host, and that is one project's.
    if (this.#open.size === 0)
      reportRefusedCalls(process.env, (refusals) => desk.refusals({ refusals, project: dir }, "developer"));
    this.#open.set(dir, made);
    return made;
  }
}
