/**
 * Remembers what the agent's calls change. A call that names its files has them read before and after it; around any
 * other call that may write (a command, a tool of an MCP server) all files are looked at. What lies between two calls is
 * no call's, and what several could have done is not one's.
 */
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import type { Hooks } from "@opencode-ai/plugin";
import { type RawPath, rawFromText } from "../diff/paths.ts";
import type { Ledger } from "../review/ledger/ledger.ts";
import {
  dropRemembered,
  forgetChanges,
  rememberCall,
  rememberChange,
} from "../review/ledger/remembered-rows.ts";
import { thisProcess } from "../review/tell/owner.ts";
import type { FileMemory, FileState, ReadFile } from "../vcs/file-memory.ts";
import type { CallMemory as Memory } from "../vcs/project.ts";
import { isTestRun, summaryOf } from "./call-words.ts";
import { pathsOf } from "./links.ts";

type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

/** Tools of the host that change the files which they name. */
const FILE_TOOLS = new Set(["edit", "write", "multiedit", "patch", "apply_patch"]);
/** Tools that change no file themselves. What is not known may. */
const NEVER_WRITE = new Set(
  "read glob grep list ls webfetch websearch codesearch todowrite todoread question skill task batch lsp invalid".split(
    " ",
  ),
);
/** After so many changes the size of what is kept is looked at. */
const LOOK_AT_SIZE_EACH = 200;

export interface ToolCall {
  tool: string;
  session: string;
  call: string;
  arguments: Record<string, unknown>;
}

interface Window {
  readonly name: string;
  readonly call: ToolCall;
  readonly began: Date;
  /** Files that it names, each as it was; null where it may write any. */
  readonly files: Map<RawPath, ReadFile> | null;
  /** Calls that ran at the same time, for however short. */
  readonly others: Set<Window>;
  /** Something else may have written meanwhile, or it could not be looked. */
  isUnsure: boolean;
}

interface Change {
  path: RawPath;
  before: FileState;
  after: FileState;
}

export interface CallMemoryOptions {
  ledger: Ledger;
  /** The agent's repository. */
  project: string;
  files: Promise<FileMemory>;
  /** Tools of the review's own: what they do to files is no call's work. */
  ownTools: ReadonlySet<string>;
  /** Whether anything runs that an earlier command has left running. */
  hasLeftovers(): boolean;
  failed(error: unknown): void;
  now?: () => Date;
}

let memories = 0;

export class CallMemory implements Memory {
  readonly #open = new Map<string, Window>();
  /** What ended is looked at one after the other; nothing new begins before that is done. */
  #ending: Promise<unknown> = Promise.resolve();
  #looking: Promise<unknown> = Promise.resolve();
  #writing: Promise<unknown> = Promise.resolve();
  /** Another one missed what happened before it. */
  readonly #own = ++memories;
  #watch = 0;
  #changes = 0;

  constructor(private readonly options: CallMemoryOptions) {
    // Most of the work is the first look's: it need not wait for the first command.
    void this.#look().catch(() => undefined);
  }

  /** `tool.execute.before`: returns when the call may run. @param directory what its paths are relative to */
  async begin(call: ToolCall, directory: string): Promise<void> {
    if (NEVER_WRITE.has(call.tool) || this.options.ownTools.has(call.tool)) return;
    try {
      await this.#ended();
      const name = `${call.session}/${call.call}`;
      const began = this.#now();
      const paths = FILE_TOOLS.has(call.tool) ? this.#pathsOf(call, directory) : null;
      const memory = await this.options.files;
      const files = paths === null ? null : new Map(paths.map((path) => [path, memory.read(path)] as const));
      const others = new Set(this.#open.values());
      const isUnsure = files === null && others.size === 0 && this.options.hasLeftovers();
      const window: Window = { name, call, began, files, others, isUnsure };
      for (const other of others) other.others.add(window);
      this.#open.set(name, window);
      if (files === null)
        await this.#look().catch((error: unknown) => {
          window.isUnsure = true;
          throw error;
        });
    } catch (error) {
      this.failed(error);
    }
  }

  /**
   * `tool.execute.after`; returns when what it changed has been looked at. Until then nothing else should write.
   * @param exit of a command
   */
  async end(session: string, call: string, exit: number | null = null): Promise<void> {
    const window = this.#open.get(`${session}/${call}`);
    if (window === undefined) return;
    this.#finish(window, exit);
    await this.#ended();
  }

  #finish(window: Window, exit: number | null): void {
    this.#open.delete(window.name);
    const { files } = window;
    const ended = this.#now();
    const look = async (): Promise<void> => {
      const changes = files === null ? await this.#lookAfter() : await this.#readAgain(files);
      this.#remember(window, changes, ended, exit);
    };
    this.#ending = this.#ending.then(look).catch((error: unknown) => this.failed(error));
  }

  /** What the host tells: a call that failed has no `tool.execute.after`. */
  take(event: HostEvent): void {
    if (event.type === "session.idle") this.clear(event.properties.sessionID);
    if (event.type !== "message.part.updated") return;
    const { part } = event.properties;
    if (part.type === "tool" && (part.state.status === "completed" || part.state.status === "error"))
      this.#endedLate(this.#open.get(`${part.sessionID}/${part.callID}`));
  }

  /** It ended some time ago: of a command that may have written anything it is not known any more what it did. */
  #endedLate(window: Window | undefined): void {
    if (window === undefined) return;
    if (window.files === null) window.isUnsure = true;
    this.#finish(window, null);
  }

  /** Whatever ran in a session has ended, told or not. */
  clear(session: string): void {
    for (const window of [...this.#open.values()])
      if (window.call.session === session) this.#endedLate(window);
  }

  async settled(): Promise<string | null> {
    await this.#ended();
    await this.#writing;
    return this.#open.size === 0 ? this.#word() : null;
  }

  async contents(oids: readonly string[]): Promise<Map<string, Uint8Array>> {
    return (await this.options.files).contents(oids);
  }

  tidy(): void {
    this.#write(async () => {
      const isEmpty = await this.options.ledger.whenFree(() =>
        dropRemembered(this.options.ledger, this.options.project),
      );
      if (isEmpty && this.#open.size === 0) (await this.options.files).clear();
    });
  }

  /** What was missed is unknown from here on, and nobody's. */
  failed(error: unknown): void {
    this.#watch++;
    this.options.failed(error);
  }

  /** Another process's word is another one, so that what happened in between is not taken for seen. */
  #word(): string {
    return `${thisProcess()} ${this.#own}.${this.#watch}`;
  }

  #now(): Date {
    return this.options.now?.() ?? new Date();
  }

  async #ended(): Promise<void> {
    for (let seen: unknown = null; seen !== this.#ending; ) {
      seen = this.#ending;
      await seen;
    }
  }

  #look(): ReturnType<FileMemory["look"]> {
    const next = this.#looking.then(async () => (await this.options.files).look());
    this.#looking = next.catch(() => undefined);
    return next;
  }

  async #lookAfter(): Promise<Change[]> {
    return [...(await this.#look())].map(([path, { before, after }]) => ({ path, before, after }));
  }

  async #readAgain(files: ReadonlyMap<RawPath, ReadFile>): Promise<Change[]> {
    const memory = await this.options.files;
    const changes: Change[] = [];
    for (const [path, before] of files) {
      const after = memory.read(path);
      if (after.state === before.state) continue;
      memory.keep(before);
      memory.keep(after);
      changes.push({ path, before: before.state, after: after.state });
    }
    return changes;
  }

  #remember(window: Window, changes: readonly Change[], ended: Date, exit: number | null): void {
    const { name, call } = window;
    const test = call.tool === "bash" && isTestRun(call.arguments.command);
    if (changes.length === 0 && !test) return;
    const rows = changes.map(({ path, ...change }) => ({
      project: this.options.project,
      path,
      calls: JSON.stringify(window.isUnsure ? [] : [name, ...othersAt(window, path)]),
      watch: this.#word(),
      ...change,
    }));
    const { ledger, project } = this.options;
    const callRow = ({ name, call, began }: Window, of: Window) => ({
      call: name,
      project,
      session: call.session,
      tool: call.tool,
      summary: summaryOf(call, project),
      began_at: began.toISOString(),
      ended_at: ended.toISOString(),
      exit_code: of === window && name === window.name ? exit : null,
      test: call.tool === "bash" && isTestRun(call.arguments.command) ? ("yes" as const) : ("no" as const),
    });
    this.#write(async () => {
      await ledger.transactionWhenFree(() => {
        for (const other of window.others) rememberCall(ledger, callRow(other, other));
        rememberCall(ledger, callRow(window, window));
        for (const row of rows) rememberChange(ledger, row);
      });
      this.#changes += rows.length;
      if (this.#changes < LOOK_AT_SIZE_EACH) return;
      this.#changes = 0;
      await this.#keepBounded();
    });
  }

  async #keepBounded(): Promise<void> {
    const { ledger, project } = this.options;
    const files = await this.options.files;
    if (!files.isFull()) return;
    await ledger.whenFree(() => forgetChanges(ledger, project));
    files.clear();
    this.#watch++;
  }

  #write(work: () => Promise<void>): void {
    this.#writing = this.#writing.then(work).catch((error: unknown) => this.failed(error));
  }

  /** Files in the repository that the call names. */
  #pathsOf({ tool, arguments: given }: ToolCall, directory: string): RawPath[] {
    const { project } = this.options;
    const within = (path: string): RawPath[] => {
      const named = resolve(directory, path);
      // The folder may be reached through a link.
      const place = join(realOf(dirname(named)), basename(named));
      return place.startsWith(`${project}${sep}`) ? [rawFromText(place.slice(project.length + 1))] : [];
    };
    return [...new Set(pathsOf(tool === "patch" ? "apply_patch" : tool, given).flatMap(within))];
  }
}

function realOf(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/** Those of the calls at the same time that may have written this file as well. */
const othersAt = ({ others }: Window, path: RawPath): string[] =>
  [...others].flatMap(({ name, files }) => (files === null || files.has(path) ? [name] : []));
