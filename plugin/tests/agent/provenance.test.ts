/** Why a hunk is there, in a real opencode: what `why` says of each line, against the script that made the model write it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Turn } from "../../../demo/model/script.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import type { Why } from "../../src/protocol/queries.ts";
import { type Client, connect } from "../server/client.ts";
import { prepareField } from "../settle/stress.ts";
import { missingOpencode, type Opencode, startOpencode } from "./opencode.ts";

setDefaultTimeout(120_000);

interface Part {
  type: string;
  tool?: string;
  callID?: string;
  state?: { status: string; metadata?: { sessionId?: string } };
}

const WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

/**
 * The model's script. Every line that a call writes ends with the call's number, so that the truth is in the text: the
 * number of each call is what stands here, not what anybody found out.
 */
class Script {
  readonly turns: Turn[] = [];
  /** Of the calls that write, in order. */
  readonly numbers: number[] = [];

  constructor(
    private readonly dir: string,
    private next: number,
  ) {}

  #call(tool: string, args: object, number: number | null): this {
    const text = number === null ? "I look." : `Now step ${number}.`;
    this.turns.push({ text, calls: [{ tool, args: { ...args } }] });
    if (number !== null) this.numbers.push(number);
    return this;
  }

  write(file: string, lines: (by: string) => string[]): this {
    const number = this.next++;
    const content = lines(`by ${number}`)
      .map((line) => `${line}\n`)
      .join("");
    return this.#call("write", { filePath: join(this.dir, file), content }, number);
  }

  edit(file: string, before: string, after: (by: string) => string): this {
    const filePath = join(this.dir, file);
    this.#call("read", { filePath }, null);
    const number = this.next++;
    return this.#call("edit", { filePath, oldString: before, newString: after(`by ${number}`) }, number);
  }

  bash(command: (by: string) => string): this {
    const number = this.next++;
    return this.#call("bash", { command: command(`by ${number}`), description: "works" }, number);
  }

  /** What `why` is not asked about. */
  plain(tool: string, args: object): this {
    return this.#call(tool, args, null);
  }
}

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("why a hunk is there", () => {
  let root: string;
  let dir: string;
  let opencode: Opencode;
  let client: Client;
  let agent: Client;
  let suggestion: string;
  let session: string;
  /** `<session>/<call id>` of each number. */
  const calls = new Map<number, string>();

  const child = (): Script =>
    new Script(dir, 100)
      .write("child.txt", (by) => ["from the child", "child"].map((word) => `${word} ${by}`))
      .edit("a.txt", "seven by 1", (by) => `seven ${by}`);

  const first = (): Script => {
    const script = new Script(dir, 1)
      .write("a.txt", (by) => WORDS.map((word) => `${word} ${by}`))
      .edit("a.txt", "three by 1", (by) => `three ${by}\nmore ${by}`)
      .edit("a.txt", "more by 2", (by) => `more ${by}`)
      // A formatter in a command.
      .bash((by) => `sed -i 's/^five by 1$/FIVE ${by}/' a.txt`)
      // A file that is written twice.
      .write("b.txt", (by) => ["head by 5", ...WORDS.map((word) => `${word} ${by}`)])
      .write("b.txt", (by) => ["head by 5", `new ${by}`, ...WORDS.slice(2).map((word) => `${word} by 5`)])
      .bash((by) => `mv keep.txt moved.txt && echo 'last ${by}' >> moved.txt`)
      .edit("moved.txt", "kept 3\n", (by) => `changed ${by}\n`)
      .bash(() => "sh tests.sh 3");
    for (const word of WORDS.slice(2, 8))
      script.edit("b.txt", `${word} by 5`, (by) => `${word} ${by}\nand ${by}`);
    return script.plain("task", {
      description: "a part",
      prompt: "the child's part",
      subagent_type: "general",
    });
  };

  const second = (): Script =>
    new Script(dir, 50)
      .edit("a.txt", "FIVE by 4", (by) => `five again ${by}`)
      .bash(
        (by) =>
          `for file in a b; do echo "end of $file ${by}" >> $file.txt; done; chmod +x b.txt; rm gone.txt`,
      )
      .bash(() => "printf 'a\\0b' > picture.bin")
      .edit("a.txt", "one by 1\n", () => "")
      .bash(() => "sh tests.sh 0")
      .plain("publish_suggestion", { description: "Much work" });

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "sm-why-"));
    const field = prepareField(root);
    ({ dir } = field);
    const lines = Array.from({ length: 12 }, (_, index) => `kept ${index}\n`).join("");
    writeFileSync(join(dir, "keep.txt"), lines);
    writeFileSync(join(dir, "gone.txt"), "will go\n");
    writeFileSync(join(dir, "tests.sh"), 'exit "$1"\n');
    chmodSync(join(dir, "tests.sh"), 0o755);
    field.jj("commit", "-m", "a base with files");
    // A change that was there before anybody looked.
    writeFileSync(join(dir, "tests.sh"), 'echo before anybody looked\nexit "$1"\n');
    opencode = await startOpencode(root, dir, {
      title: "Lines and their makers",
      conversations: [
        { when: "^begin the work$", turns: [...first().turns, { text: "begun" }] },
        { when: "^end the work$", turns: [...second().turns, { text: "ended" }] },
        { when: "^the child's part$", turns: [...child().turns, { text: "the child is done" }] },
      ],
    });
    session = (await opencode.call<{ id: string }>("/session", {})).id;
    const prompt = (text: string) =>
      opencode.call(`/session/${session}/message`, { parts: [{ type: "text", text }] });
    await prompt("begin the work");
    const place = join(dir, "a.txt");
    writeFileSync(place, `${readFileSync(place, "utf8")}by nobody\n`);
    await prompt("end the work");
    const port = Number(new URL(opencode.review).port);
    const token = async (name: string) => (await Bun.file(join(root, "state", name)).text()).trim();
    client = await connect({ port, developer: await token("token") });
    agent = await connect({ port, developer: await token("agent-token") });
    const { body } = await opencode.desk<{ suggestions: { id: string }[] }>("/suggestions");
    suggestion = body.suggestions[0]?.id as string;
    await noteCalls();
  });
  afterAll(async () => {
    client?.close();
    agent?.close();
    await opencode?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  /** What the host says of its own calls. */
  async function partsOf(id: string): Promise<Part[]> {
    const messages = await opencode.call<{ parts: Part[] }[]>(`/session/${id}/message`);
    return messages.flatMap(({ parts }) => parts).filter(({ type }) => type === "tool");
  }

  async function noteCalls(): Promise<void> {
    const writing = ({ tool }: Part) => ["write", "edit", "bash"].includes(tool ?? "");
    const note = (id: string, parts: Part[], numbers: number[]) => {
      const wrote = parts.filter(writing);
      expect(wrote.map(({ state }) => state?.status)).toEqual(numbers.map(() => "completed"));
      for (const [index, number] of numbers.entries()) calls.set(number, `${id}/${wrote[index]?.callID}`);
    };
    const parts = await partsOf(session);
    note(session, parts, [...first().numbers, ...second().numbers]);
    const below = parts.find(({ tool }) => tool === "task")?.state?.metadata?.sessionId as string;
    note(below, await partsOf(below), child().numbers);
    expect(parts.length + (await partsOf(below)).length).toBeGreaterThanOrEqual(30);
  }

  async function hunks(): Promise<Hunk[]> {
    return (await opencode.desk<{ hunks: Hunk[] }>(`/suggestions/${suggestion}/hunks?limit=500`)).body.hunks;
  }

  async function whyOf(hunk: Hunk): Promise<Why> {
    const path = `/suggestions/${suggestion}/hunks/${encodeURIComponent(hunk.id)}/why`;
    const { status, body } = await opencode.desk<Why>(path);
    expect(status).toBe(200);
    return body;
  }

  /** Each changed line of a hunk with what is said of it. */
  function linesOf(hunk: Hunk, { lines }: Why): { side: string; text: string; said: string }[] {
    const own = (sign: string) =>
      hunk.diff
        .split("\n")
        .filter((line) => line.startsWith(sign) && !/^(?:\+\+\+|---) /.test(line))
        .map((line) => line.slice(1));
    return (["removed", "added"] as const).flatMap((side) => {
      const said = lines
        .filter((run) => run.side === side)
        .flatMap((run) => Array.from({ length: run.count }, () => [run.origin, ...run.calls].join(" ")));
      const texts = own(side === "added" ? "+" : "-");
      expect(said.length).toBe(texts.length);
      return texts.map((text, index) => ({ side, text, said: said[index] as string }));
    });
  }

  test("every line that a call wrote names that call, and no other line names one", async () => {
    let checked = 0;
    for (const hunk of await hunks()) {
      if (hunk.file === "picture.bin") continue;
      const why = await whyOf(hunk);
      for (const { side, text, said } of linesOf(hunk, why)) {
        const number = /by (\d+)$/.exec(text)?.[1];
        if (side === "added" && number !== undefined) {
          expect(`${text}: ${said}`).toBe(`${text}: call ${calls.get(Number(number))}`);
          checked++;
        } else if (side === "added")
          expect(`${text}: ${said}`).toBe(`${text}: ${text === "by nobody" ? "outside" : "unknown"}`);
      }
    }
    expect(checked).toBeGreaterThanOrEqual(25);
  });

  test("what a call took out, renamed, made executable or wrote as bytes is its own", async () => {
    const all = await hunks();
    const find = (file: string, kind: string) =>
      all.find((hunk) => hunk.file === file && hunk.kind === kind) as Hunk;
    const lineHunk = (text: string) => all.find(({ diff }) => diff.includes(`\n-${text}\n`)) as Hunk;
    const said = async (hunk: Hunk) =>
      linesOf(hunk, await whyOf(hunk)).find(({ side }) => side === "removed")?.said;
    expect(await said(lineHunk("kept 3"))).toBe(`call ${calls.get(8)}`);
    expect(await said(find("gone.txt", "delete"))).toBe(`call ${calls.get(51)}`);
    const whole = async (hunk: Hunk) => (await whyOf(hunk)).whole;
    expect(await whole(find("moved.txt", "rename"))).toEqual([
      { origin: "call", calls: [calls.get(7) as string] },
    ]);
    expect(await whole(find("picture.bin", "create"))).toEqual([
      { origin: "call", calls: [calls.get(52) as string] },
    ]);
  });

  test("a call is told with its session, the prompt, the words before it and the tests after it", async () => {
    const hunk = (await hunks()).find(({ diff }) => diff.includes("+five again by 50")) as Hunk;
    const why = await whyOf(hunk);
    const edit = why.calls.find(({ call_id }) => call_id === calls.get(50));
    expect(edit).toMatchObject({
      session_id: session,
      root_session_id: session,
      session_title: "Lines and their makers",
      tool: "edit",
      summary: "a.txt",
      prompt: "end the work",
      words: "Now step 50.",
    });
    const early = why.calls.find(({ call_id }) => call_id === calls.get(3));
    expect(early).toMatchObject({ prompt: "begin the work", words: "Now step 3.", added: 1, removed: 0 });
    const below = why.calls.find(({ call_id }) => call_id === calls.get(101));
    expect(below).toMatchObject({
      root_session_id: session,
      task: "the child's part",
      prompt: "begin the work",
    });
    expect(below?.session_id).not.toBe(session);
    expect(why.tests.map(({ command, exit_code }) => [command, exit_code])).toEqual([["sh tests.sh 0", 0]]);
    const moved = (await hunks()).find(({ diff }) => diff.includes("changed by 8")) as Hunk;
    expect((await whyOf(moved)).tests.map(({ exit_code }) => exit_code)).toEqual([3, 0]);
    // The way back into the session.
    const activity = await opencode.desk<{ entries: { id: string; call_id?: string }[] }>(
      `/agent/activity?session=${session}&limit=1000`,
    );
    const entry = activity.body.entries.find(({ id }) => id === edit?.entry_id);
    expect(entry?.call_id).toBe(calls.get(50)?.split("/")[1]);
  });

  test("the same by WebSocket; the agent's token is told the calls, and nothing that was said", async () => {
    const hunk = (await hunks()).find(({ diff }) => diff.includes("+five again by 50")) as Hunk;
    const ask = { type: "why", suggestionId: suggestion, hunkId: hunk.id };
    const mine = (await client.command(ask)) as { data: Why };
    expect(mine.data).toEqual(await whyOf(hunk));
    const { data } = (await agent.command(ask)) as { data: Why };
    expect(data.lines).toEqual(mine.data.lines);
    expect(data.calls.map(({ call_id }) => call_id)).toEqual(mine.data.calls.map(({ call_id }) => call_id));
    expect(JSON.stringify(data)).not.toMatch(
      /the work|Now step|Lines and their makers|prompt|words|entry_id/,
    );
  });
});
