/**
 * Draws a terminal screen as an SVG: reads what `tmux capture-pane -p -e` prints and writes a window with every cell
 * in its place and its own colour.
 *
 *   tmux capture-pane -p -e | bun docs/screenshot.ts [--columns N] [--title TEXT] [--out FILE] [--png FILE]
 *   bun docs/screenshot.ts --review [--out docs/review.svg]     the README's picture, from a real review
 *
 * --png needs chromium on PATH.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

interface Style {
  fg: string | null;
  bg: string | null;
  bold: boolean;
  italic: boolean;
  underline: boolean;
  reverse: boolean;
  dim: boolean;
}
interface Cell extends Style {
  text: string;
}

const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  italic: false,
  underline: false,
  reverse: false,
  dim: false,
};
const FOREGROUND = "#e0e2ea";
const BACKGROUND = "#14161b";
/** The 16 colours that a terminal's theme names; close to what Neovim's default colours expect. */
const NAMED = [
  ...["#14161b", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#e0e2ea"],
  ...["#4f5258", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#eef1f8"],
];

const hex = (...parts: number[]): string =>
  `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;

/** xterm's 256 colours: 16 named, a cube of 6 × 6 × 6, 24 greys. */
function indexed(n: number): string {
  if (n < 16) return NAMED[n] ?? FOREGROUND;
  if (n >= 232) return hex(...Array<number>(3).fill(8 + (n - 232) * 10));
  const level = (k: number) => (k === 0 ? 0 : 55 + k * 40);
  return hex(...[36, 6, 1].map((step) => level(Math.floor((n - 16) / step) % 6)));
}

/** Applies one "select graphic rendition" sequence (ECMA-48 8.3.117; colours after ITU T.416). */
function restyle(style: Style, parameters: string): Style {
  const next = { ...style };
  const codes = (parameters === "" ? "0" : parameters).split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) Object.assign(next, PLAIN);
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.reverse = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.reverse = false;
    else if (code === 39) next.fg = null;
    else if (code === 49) next.bg = null;
    else if (code === 38 || code === 48) {
      const side = code === 38 ? "fg" : "bg";
      if (codes[at + 1] === 5) {
        next[side] = indexed(codes[at + 2] ?? 0);
        at += 2;
      } else if (codes[at + 1] === 2) {
        next[side] = hex(...codes.slice(at + 2, at + 5));
        at += 4;
      }
    } else if (code >= 30 && code <= 37) next.fg = indexed(code - 30);
    else if (code >= 40 && code <= 47) next.bg = indexed(code - 40);
    else if (code >= 90 && code <= 97) next.fg = indexed(code - 82);
    else if (code >= 100 && code <= 107) next.bg = indexed(code - 92);
  }
  return next;
}

/** A style sequence (its parameters are the group), another escape sequence, or one character. */
const PIECE = new RegExp(
  "E\\[([\\d;:]*)m|E\\][^\\u0007E]*(?:\\u0007|E\\\\)|E.|[^E]".replaceAll("E", "\\u001b"),
  "gu",
);

/** The grid of cells; escapes other than colours and styles are dropped. */
export function parseScreen(text: string, columns: number): Cell[][] {
  let style = PLAIN;
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => {
      const cells: Cell[] = [];
      for (const [piece, parameters] of line.matchAll(PIECE)) {
        if (parameters !== undefined) style = restyle(style, parameters);
        else if (!piece.startsWith("\x1b")) cells.push({ ...style, text: piece });
      }
      while (cells.length < columns) cells.push({ ...PLAIN, text: " " });
      return cells.slice(0, columns);
    });
}

const CELL = { width: 8.4, height: 18, font: 14 };
const FRAME = { side: 14, bar: 36, bottom: 14 };

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const number = (value: number): string => String(Math.round(value * 100) / 100);

const ink = (cell: Cell): string => (cell.reverse ? (cell.bg ?? BACKGROUND) : (cell.fg ?? FOREGROUND));
const paper = (cell: Cell): string => (cell.reverse ? (cell.fg ?? FOREGROUND) : (cell.bg ?? BACKGROUND));

/** Neighbouring cells for which the key is the same, as [first column, cells]. */
function runsOf(cells: Cell[], key: (cell: Cell) => string): [number, Cell[]][] {
  const runs: [number, Cell[]][] = [];
  let last = "";
  for (const [column, cell] of cells.entries()) {
    const run = runs.at(-1);
    if (run !== undefined && key(cell) === last) run[1].push(cell);
    else runs.push([column, [cell]]);
    last = key(cell);
  }
  return runs;
}

/** Box drawing is drawn as lines, so that frames close whatever font a viewer has. */
function boxPath(text: string, x: number, y: number): string | null {
  const [cx, cy, right, bottom] = [
    x + CELL.width / 2,
    y + CELL.height / 2,
    x + CELL.width,
    y + CELL.height,
  ].map(number);
  const [left, top] = [number(x), number(y)];
  const paths: Record<string, string> = {
    "─": `M${left} ${cy}H${right}`,
    "│": `M${cx} ${top}V${bottom}`,
    "╭": `M${cx} ${bottom}Q${cx} ${cy} ${right} ${cy}`,
    "╮": `M${left} ${cy}Q${cx} ${cy} ${cx} ${bottom}`,
    "╰": `M${cx} ${top}Q${cx} ${cy} ${right} ${cy}`,
    "╯": `M${cx} ${top}Q${cx} ${cy} ${left} ${cy}`,
    "┌": `M${cx} ${bottom}V${cy}H${right}`,
    "┐": `M${left} ${cy}H${cx}V${bottom}`,
    "└": `M${cx} ${top}V${cy}H${right}`,
    "┘": `M${cx} ${top}V${cy}H${left}`,
  };
  return paths[text] ?? null;
}

function drawRow(cells: Cell[], row: number): string {
  const top = FRAME.bar + row * CELL.height;
  const x = (column: number) => FRAME.side + column * CELL.width;
  const parts: string[] = [];
  for (const [column, run] of runsOf(cells, paper)) {
    const [first] = run;
    if (first === undefined || paper(first) === BACKGROUND) continue;
    parts.push(
      `<rect x="${number(x(column))}" y="${top}" width="${number(run.length * CELL.width)}" height="${CELL.height}" fill="${paper(first)}"/>`,
    );
  }
  for (const [column, run] of runsOf(cells, (cell) => (boxPath(cell.text, 0, 0) === null ? "" : ink(cell)))) {
    const [first] = run;
    if (first === undefined || boxPath(first.text, 0, 0) === null) continue;
    const path = run.map((cell, index) => boxPath(cell.text, x(column + index), top)).join("");
    parts.push(`<path d="${path}" stroke="${ink(first)}"/>`);
  }
  const look = (cell: Cell) =>
    boxPath(cell.text, 0, 0) !== null || cell.text === " "
      ? ""
      : [ink(cell), cell.bold, cell.italic, cell.underline, cell.dim, cell.text === "▌"].join();
  const baseline = number(top + CELL.height * 0.73);
  for (const [column, run] of runsOf(cells, look)) {
    const [first] = run;
    if (first === undefined || look(first) === "") continue;
    if (first.text === "▌") {
      const width = number(CELL.width / 2);
      parts.push(
        `<rect x="${number(x(column))}" y="${top}" width="${width}" height="${CELL.height}" fill="${ink(first)}"/>`,
      );
      continue;
    }
    const places = run.map((_, index) => number(x(column + index))).join(" ");
    const attributes = [
      first.bold ? ' font-weight="bold"' : "",
      first.italic ? ' font-style="italic"' : "",
      first.underline ? ' text-decoration="underline"' : "",
      first.dim ? ' opacity="0.6"' : "",
    ].join("");
    const text = escaped(run.map((cell) => cell.text).join(""));
    parts.push(`<text x="${places}" y="${baseline}" fill="${ink(first)}"${attributes}>${text}</text>`);
  }
  return parts.join("");
}

/** @param screen what tmux printed, escapes included */
export function drawScreen(screen: string, options: { columns: number; title: string }): string {
  const rows = parseScreen(screen, options.columns);
  const width = number(options.columns * CELL.width + 2 * FRAME.side);
  const height = number(rows.length * CELL.height + FRAME.bar + FRAME.bottom);
  const lights = ["#ff5f57", "#febc2e", "#28c840"]
    .map((colour, index) => `<circle cx="${20 + index * 20}" cy="${FRAME.bar / 2}" r="6" fill="${colour}"/>`)
    .join("");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(options.title).replaceAll('"', "&quot;")}">`,
    `<rect x="0.5" y="0.5" width="${number(Number(width) - 1)}" height="${number(Number(height) - 1)}" rx="10" fill="${BACKGROUND}" stroke="#4f5258"/>`,
    lights,
    `<text x="${number(Number(width) / 2)}" y="${FRAME.bar / 2 + 4.5}" text-anchor="middle" font-family="system-ui,sans-serif" font-size="13" fill="#9b9ea4">${escaped(options.title)}</text>`,
    `<g font-family="'JetBrains Mono','Cascadia Code','DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="${CELL.font}" fill="none" stroke="none" xml:space="preserve">`,
    ...rows.map((cells, row) => drawRow(cells, row)).filter((row) => row !== ""),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      columns: { type: "string", default: "100" },
      title: { type: "string", default: "nvim" },
      out: { type: "string" },
      png: { type: "string" },
      review: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(
      "usage: tmux capture-pane -p -e | bun docs/screenshot.ts [--columns N] [--title TEXT] [--out FILE] [--png FILE]\n" +
        "       bun docs/screenshot.ts --review [--out docs/review.svg]\n",
    );
    return;
  }
  let screen: string;
  if (values.review)
    screen = await (await import("../test-harness/support/review-picture.ts")).captureReview();
  else screen = readFileSync(0, "utf8");
  const title = values.review ? "nvim — reviewing what the agent suggests" : values.title;
  const svg = drawScreen(screen, { columns: Number(values.columns), title });
  if (values.out === undefined) process.stdout.write(svg);
  else writeFileSync(values.out, svg);
  if (values.png === undefined) return;
  const browser = Bun.which("chromium");
  if (browser === null) throw new Error("--png needs chromium on PATH");
  const [, width = "900", height = "600"] = /width="([\d.]+)" height="([\d.]+)"/.exec(svg) ?? [];
  const size = `--window-size=${Math.ceil(Number(width))},${Math.ceil(Number(height))}`;
  const page = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  Bun.spawnSync([
    browser,
    "--headless",
    "--no-sandbox",
    "--hide-scrollbars",
    size,
    `--screenshot=${resolve(values.png)}`,
    page,
  ]);
}

if (import.meta.main) await main();
