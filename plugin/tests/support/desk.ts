/** The real desk over an agent's real jj repository, without any door: every use case by its name. */
import { join } from "node:path";
import { watched } from "../../../test-harness/support/doors.ts";
import { loadConfig } from "../../src/config.ts";
import type { CompleteResult, PublishResult } from "../../src/protocol/changes.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import { Desk } from "../../src/review/desk.ts";
import type { Project } from "../../src/vcs/project.ts";
import { type Repo, repoWith } from "./repo.ts";

export class Review {
  readonly heard: { seq: number; json: string }[] = [];
  readonly remarks: string[] = [];
  desk!: Desk;
  project!: Project;

  private constructor(
    readonly repo: Repo,
    readonly options: Record<string, unknown>,
  ) {}

  static async of(files: Record<string, string>, options: Record<string, unknown> = {}): Promise<Review> {
    const review = new Review(await repoWith(files), options);
    await review.start();
    return review;
  }

  async start(): Promise<void> {
    const { root, dir } = this.repo;
    const config = {
      state_dir: join(root, "state"),
      feedback_log: join(root, "feedback.jsonl"),
      ...this.options,
    };
    this.desk = new Desk(watched(loadConfig(config, { HOME: root }), loadConfig({}, { HOME: root })));
    this.desk.onRemark = (_, message) => this.remarks.push(message);
    this.desk.subscribe((event, json) => this.heard.push({ seq: event.seq, json }));
    this.project = await this.desk.addProject(dir);
  }

  /** As after a crash: the same state, a new process. */
  async restart(): Promise<void> {
    this.desk.close();
    await this.start();
  }

  publish(changeId?: string, description = "Better words"): Promise<PublishResult> {
    return this.desk.publish(
      { description, ...(changeId === undefined ? {} : { change_id: changeId }) },
      "agent",
    );
  }

  hunks(id: string): Hunk[] {
    return this.desk.hunks(id, { limit: 1000, offset: 0 }).hunks;
  }

  /** The hunk whose diff holds this text. */
  hunk(id: string, text: string): Hunk {
    const found = this.hunks(id).find(({ diff }) => diff.includes(text));
    if (found === undefined) throw new Error(`no hunk holds ${text}`);
    return found;
  }

  accept(id: string, ...texts: string[]): void {
    for (const text of texts) this.#decide(id, text, "accept");
  }

  reject(id: string, ...texts: string[]): void {
    for (const text of texts) this.#decide(id, text, "reject");
  }

  #decide(id: string, text: string, action: "accept" | "reject"): void {
    this.desk.decide({ suggestion_id: id, hunk_id: this.hunk(id, text).id, action }, "developer");
  }

  acceptAll(id: string): void {
    this.desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } }, "developer");
  }

  finalize(id: string, request: { description?: string; request_id?: string } = {}): Promise<CompleteResult> {
    return this.desk.complete({ suggestion_id: id, action: "finalize", ...request }, "developer");
  }

  discard(id: string): Promise<CompleteResult> {
    return this.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
  }

  settle = () => this.desk.settle({}, "agent");

  states(id: string): Record<string, string> {
    return Object.fromEntries(
      this.hunks(id).map((hunk) => [/^\+(.*)$/m.exec(hunk.diff)?.[1] ?? hunk.file, hunk.state]),
    );
  }

  /** Content of a path in a commit of the hub. */
  hub(commit: string, path: string): Promise<string> {
    return this.project.hub.text(["show", `${commit}:${path}`]);
  }

  /** Someone else's commit on the shared branch. */
  async sharedBranchMoves(files: Record<string, string>): Promise<string> {
    const { hub } = this.project;
    const parent = (await hub.resolve("refs/heads/main")) as string;
    const parts = [
      `commit refs/heads/main\ncommitter Other <other@example.org> 1750000000 +0000\ndata 5\nother\nfrom ${parent}\n`,
    ];
    for (const [path, text] of Object.entries(files)) {
      parts.push(`M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
    }
    await hub.run(["fast-import", "--quiet", "--date-format=raw"], { input: `${parts.join("")}\n` });
    await this.desk.hubChanged(this.project.hubName);
    return (await hub.resolve("refs/heads/main")) as string;
  }

  close(): void {
    this.desk.close();
  }
}

export const code = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
  return "done";
};

export const refusal = async (
  work: Promise<unknown>,
): Promise<{ code: string; message: string; details?: Record<string, unknown> }> => {
  try {
    await work;
  } catch (thrown) {
    return thrown as { code: string; message: string };
  }
  throw new Error("expected a refusal");
};
