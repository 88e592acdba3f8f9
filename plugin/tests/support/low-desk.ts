/**
 * A desk below jj: real ledger, real hub, the very functions the desk calls, but revisions are trees made by a test
 * rather than changes of an agent. Hundreds of suggestions in a second.
 */
import { join } from "node:path";
import { compose } from "../../src/diff/compose.ts";
import type {
  BatchRequest,
  CompleteResult,
  DecisionResult,
  FeedbackRequest,
  PublishResult,
  UndoRequest,
} from "../../src/protocol/changes.ts";
import * as decisions from "../../src/review/decide/decide.ts";
import { discard, redoDiscard, undoDiscard } from "../../src/review/finish/discard.ts";
import { type Part, piecesOf, writeTree } from "../../src/review/finish/suggestion-trees.ts";
import { type HunkRow, standingHunks } from "../../src/review/ledger/hunk-rows.ts";
import { Ledger } from "../../src/review/ledger/ledger.ts";
import { entriesOf, getRevision, getSuggestion } from "../../src/review/ledger/suggestion-rows.ts";
import { recordRevision } from "../../src/review/publish/revision.ts";
import { findChanges } from "../../src/vcs/find-changes.ts";
import type { Project } from "../../src/vcs/project.ts";
import { temporaryDirectory } from "./place.ts";
import { type Tree, type TreeStore, treeStore } from "./trees.ts";

const AUTHOR = "Agent <agent@example.org> 1700000000 +0000";

/** A tree as `path → mode object-id`: two that are equal have one tree id. */
export type Listing = Record<string, string>;

const blobId = (content: string | Uint8Array): string => {
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  return new Bun.CryptoHasher("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
};

export const listingOf = (files: Tree): Listing =>
  Object.fromEntries(
    [...files].map(([path, { mode, text }]) => [path, `${mode} ${mode === "160000" ? text : blobId(text)}`]),
  );

/** The id git gives to a tree of these files (gitformat-pack(5): entries in order of their names, a directory's as if it ended in "/"). */
export function treeIdOf(listing: Listing): string {
  const entries = new Map<string, string | Listing>();
  for (const [path, value] of Object.entries(listing)) {
    const slash = path.indexOf("/");
    if (slash === -1) {
      entries.set(path, value);
      continue;
    }
    const below = (entries.get(path.slice(0, slash)) ?? {}) as Listing;
    below[path.slice(slash + 1)] = value;
    entries.set(path.slice(0, slash), below);
  }
  const key = ([name, value]: [string, string | Listing]) => (typeof value === "string" ? name : `${name}/`);
  const body = [...entries]
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .map(([name, value]) => {
      const [mode, id] = typeof value === "string" ? value.split(" ") : ["40000", treeIdOf(value)];
      return Buffer.concat([Buffer.from(`${mode} ${name}\0`, "latin1"), Buffer.from(id as string, "hex")]);
    });
  const bytes = Buffer.concat(body);
  return new Bun.CryptoHasher("sha1").update(`tree ${bytes.length}\0`).update(bytes).digest("hex");
}

export interface Published extends PublishResult {
  id: string;
  baseTree: string;
  commitTree: string;
}

export class LowDesk {
  #clock = 1_750_000_000_000;
  #changes = 0;

  private constructor(
    readonly ledger: Ledger,
    readonly store: TreeStore,
    readonly project: Project,
  ) {}

  static async open(): Promise<LowDesk> {
    const store = await treeStore();
    const ledger = Ledger.open(join(temporaryDirectory("ledger"), "ledger.sqlite"));
    // What is tested here is not durability.
    ledger.db.run("PRAGMA synchronous = OFF");
    const project = {
      dir: "/project",
      hub: store.git,
      hubName: "hub",
      sharedTip: async () => null,
    } as unknown as Project;
    return new LowDesk(ledger, store, project);
  }

  now = (): Date => new Date(this.#clock++);

  close(): void {
    this.ledger.close();
    this.store.remove();
  }

  /** Publishes `after` on `before`; as the next revision of `onto` if given. */
  async publish(before: Tree, after: Tree, onto?: Published): Promise<Published> {
    const [base, commit] = await this.store.write([before, after], (index) => (index === 0 ? null : 0));
    if (base === undefined || commit === undefined) throw new Error("no commits");
    const found = await findChanges(this.store.git, base.tree, commit.tree);
    const changeId =
      onto === undefined ? `change${++this.#changes}` : getSuggestion(this.ledger, onto.id).change_id;
    const id = onto?.id ?? `suggestion-${this.#changes}`;
    const change = {
      changeId,
      commit: commit.commit,
      parents: [base.commit],
      parentChanges: [],
      description: "",
      conflict: false,
      divergent: false,
      immutable: false,
      empty: false,
      author: AUTHOR,
    };
    const pinned = {
      ...found,
      change,
      base: base.commit,
      baseTree: base.tree,
      commitTree: commit.tree,
      warnings: [],
    };
    const options = { description: "Generated", session: null, now: this.now };
    const answer = await recordRevision(this.ledger, this.project, pinned, id, options);
    return { ...answer, id, baseTree: base.tree, commitTree: commit.tree };
  }

  hunks(id: string): HunkRow[] {
    return standingHunks(this.ledger, id, getSuggestion(this.ledger, id).revision);
  }

  entries(id: string) {
    return entriesOf(getRevision(this.ledger, id, getSuggestion(this.ledger, id).revision));
  }

  #context(): decisions.DecideContext {
    const readBase = (_: unknown, hunk: HunkRow): Uint8Array => {
      const oid = this.entries(hunk.suggestion)[hunk.entry]?.oldOid;
      if (!oid) return new Uint8Array(0);
      return Bun.spawnSync(["git", "--git-dir", this.store.git.dir, "cat-file", "blob", oid]).stdout;
    };
    return { ledger: this.ledger, readBase, now: this.now };
  }

  decide(request: FeedbackRequest): DecisionResult {
    return decisions.decide(this.#context(), request, "developer");
  }
  decideMany(request: BatchRequest): DecisionResult {
    return decisions.decideMany(this.#context(), request, "developer");
  }
  discard(id: string): CompleteResult {
    return discard(this.#context(), { suggestion_id: id, action: "discard" }, "developer");
  }
  undo(request: UndoRequest): DecisionResult {
    const context = this.#context();
    return undoDiscard(context, request, "developer") ?? decisions.undo(context, request, "developer");
  }
  redo(request: UndoRequest): DecisionResult {
    const context = this.#context();
    return redoDiscard(context, request, "developer") ?? decisions.redo(context, request, "developer");
  }
  comment(hunk: HunkRow, text: string): DecisionResult {
    return decisions.comment(
      this.#context(),
      { suggestion_id: hunk.suggestion, hunk_id: hunk.id, comment: text },
      "developer",
    );
  }
  accept = (hunk: HunkRow): DecisionResult =>
    this.decide({ suggestion_id: hunk.suggestion, hunk_id: hunk.id, action: "accept" });
  reject = (hunk: HunkRow, comment?: string): DecisionResult =>
    this.decide({
      suggestion_id: hunk.suggestion,
      hunk_id: hunk.id,
      action: "reject",
      ...(comment === undefined ? {} : { comment }),
    });

  /** What the suggestion stands for now, composed in memory on the files of its base. */
  listing(id: string, part: Part, before: Tree): Listing {
    const blobs = new Map(
      [...before.values()].map(({ text }) => [blobId(text), Buffer.from(text, "latin1")]),
    );
    const pieces = piecesOf(this.ledger, getSuggestion(this.ledger, id), part);
    const { removed, files } = compose(this.entries(id), pieces, (oid) => blobs.get(oid) as Uint8Array);
    const result = listingOf(before);
    for (const path of removed) delete result[path];
    for (const one of files) result[one.path] = `${one.mode} ${"oid" in one ? one.oid : blobId(one.content)}`;
    return result;
  }

  /** Tree id of what the suggestion stands for now. */
  async treeOf(id: string, part: Part): Promise<string> {
    return (await writeTree(this.ledger, this.project, getSuggestion(this.ledger, id), part)).tree;
  }
}
