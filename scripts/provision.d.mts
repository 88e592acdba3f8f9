/** What TypeScript callers use of provision.mjs; the full description is there. */
export interface Provisioned {
  bin: string;
  env: Record<string, string>;
  found: Record<string, { path: string; version: string; source: "path" | "private" }>;
}
export function copyTools(options: {
  from: string;
  to: string;
  tools?: string[];
  log?: (line: string) => void;
}): Promise<Provisioned>;
