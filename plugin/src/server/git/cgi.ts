/** The head of a CGI program's answer (RFC 3875 §6): header lines up to an empty one. */
export interface CgiHead {
  status: number;
  headers: Record<string, string>;
  /** Where the body begins. */
  end: number;
}

/** Index after the empty line that ends the head, or -1. Lines may end in LF or CRLF. */
function headEnd(bytes: Uint8Array): number {
  for (let i = 1; i < bytes.length; i++) {
    if (bytes[i] !== 10) continue;
    if (bytes[i - 1] === 10 || (bytes[i - 1] === 13 && bytes[i - 2] === 10)) return i + 1;
  }
  return -1;
}

/** @returns null as long as the head is not complete */
export function parseCgiHead(bytes: Uint8Array): CgiHead | null {
  const end = headEnd(bytes);
  if (end < 0) return null;
  const headers: Record<string, string> = {};
  let status = 200;
  for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim();
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10) || 500;
    else headers[name] = value;
  }
  return { status, headers, end };
}
