/** What the host loads from a repository's root and runs as itself, outside of every ring. */
export const LOADED = { files: ["opencode.json", "opencode.jsonc"], folders: [".opencode"] } as const;

/** The same as patterns of the host's `edit` permission. */
export const LOADED_PATTERNS: readonly string[] = [
  ...LOADED.files,
  ...LOADED.folders.map((name) => `${name}/*`),
];
