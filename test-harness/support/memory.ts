/** What a process holds: its command line, its environment and the memory that it has written, looked through for a text. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const PAGE = 4096;
const CHUNK_PAGES = 1024;

/** @returns where the text was found, or null */
export function holdsText(pid: number, text: string): "command line" | "environment" | "memory" | null {
  const read = (name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`);
    } catch {
      return Buffer.alloc(0);
    }
  };
  if (read("cmdline").includes(text)) return "command line";
  if (read("environ").includes(text)) return "environment";
  return inMemory(pid, read("maps").toString("latin1"), Buffer.from(text)) ? "memory" : null;
}

function inMemory(pid: number, maps: string, needle: Buffer): boolean {
  let memory: number;
  let pages: number;
  try {
    memory = openSync(`/proc/${pid}/mem`, "r");
    pages = openSync(`/proc/${pid}/pagemap`, "r");
  } catch {
    // Gone.
    return false;
  }
  try {
    for (const [, from = "0", to = "0"] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm))
      if (inRegion(memory, pages, Number.parseInt(from, 16), Number.parseInt(to, 16), needle)) return true;
    return false;
  } finally {
    closeSync(memory);
    closeSync(pages);
  }
}

/** Runtimes set gigabytes aside: only pages that are there are read (proc_pid_pagemap(5), bits 62 and 63). */
function inRegion(memory: number, pages: number, from: number, to: number, needle: Buffer): boolean {
  const table = Buffer.alloc(CHUNK_PAGES * 8);
  const content = Buffer.alloc(CHUNK_PAGES * PAGE);
  for (let at = from; at < to; at += CHUNK_PAGES * PAGE) {
    const count = Math.min(CHUNK_PAGES, (to - at) / PAGE);
    const told = readSync(pages, table, 0, count * 8, (at / PAGE) * 8) / 8;
    for (let page = 0; page < told; page++) {
      let run = 0;
      while (page + run < told && ((table[(page + run) * 8 + 7] ?? 0) & 0xc0) !== 0) run++;
      if (run === 0) continue;
      try {
        const length = readSync(memory, content, 0, run * PAGE, at + page * PAGE);
        if (content.subarray(0, length).includes(needle)) return true;
      } catch {
        // Not to be read, like the kernel's own pages.
      }
      page += run;
    }
  }
  return false;
}
