/**
 * A session as Markdown, to read or to keep. What was said stands in quotes and what ran between fences, each closed at
 * its end: nothing that the agent wrote can be taken for the developer's words, or hide what follows. Pure.
 */
import { visible, visibleLine } from "./visible-text.ts";

/** Whose words a text is. */
export type Voice = "developer" | "agent" | "program";

export type TranscriptItem =
  | { kind: "text"; by: Voice; text: string; cut: number }
  | { kind: "reasoning"; text: string; cut: number }
  | {
      kind: "tool";
      tool: string;
      title: string;
      status: string;
      input: string;
      output: string;
      error: string;
      cut: number;
    }
  | { kind: "note"; text: string };

export interface Transcript {
  session: string;
  project: string;
  title: string;
  /** Where it is from, in a sentence. */
  source: string;
  items: readonly TranscriptItem[];
}

const HEADINGS: Record<Voice, string> = {
  developer: "## You",
  agent: "## The agent",
  program: "## Told by a program",
};

export function transcriptMarkdown({ session, project, title, source, items }: Transcript): string {
  const blocks = [`# ${escaped(title) || "Without a title"}`];
  blocks.push(`Session ${code(session)} of ${code(project)}. ${source}`);
  let voice: Voice | null = null;
  for (const item of items) {
    const speaks: Voice | null = item.kind === "text" ? item.by : item.kind === "note" ? voice : "agent";
    if (speaks !== voice && speaks !== null) blocks.push(HEADINGS[speaks]);
    voice = speaks;
    blocks.push(...blockOf(item));
  }
  return `${blocks.join("\n\n")}\n`;
}

function blockOf(item: TranscriptItem): string[] {
  switch (item.kind) {
    case "text":
      return [quoted(item.text), ...leftOut(item.cut)];
    case "reasoning":
      return ["*Thought:*", quoted(item.text), ...leftOut(item.cut)];
    case "note":
      return [`*${escaped(item.text)}*`];
    case "tool": {
      const title = item.title === "" ? "" : `: ${escaped(item.title)}`;
      const parts = [`### ${code(item.tool)} ${escaped(item.status)}${title}`];
      for (const part of [item.input, item.output, item.error]) if (part !== "") parts.push(fenced(part));
      return [...parts, ...leftOut(item.cut)];
    }
  }
}

const leftOut = (cut: number): string[] => (cut === 0 ? [] : [`*(${cut} bytes are not kept here)*`]);

/** Text that renders as it stands, Markdown apart: a tag or a comment of its own would reach beyond the quote. */
const quoted = (text: string): string =>
  visible(text)
    .replace(/<(?=[A-Za-z/!?])/g, "\\<")
    .replace(/\n+$/, "")
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");

/** More backticks than any run of them in the text, and no fewer than `least`. */
function ticks(text: string, least: number): string {
  let longest = 0;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return "`".repeat(Math.max(least, longest + 1));
}

function fenced(text: string): string {
  const shown = visible(text).replace(/\n$/, "");
  const fence = ticks(shown, 3);
  return `${fence}\n${shown}\n${fence}`;
}

function code(text: string): string {
  const shown = visibleLine(text);
  const fence = ticks(shown, 1);
  return shown.includes("`") ? `${fence} ${shown} ${fence}` : `${fence}${shown}${fence}`;
}

/** As it is, in the middle of a line. */
const escaped = (text: string): string => visibleLine(text).replace(/[\\`*_<>[\]#!|~&]/g, "\\$&");
