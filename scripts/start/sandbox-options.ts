/** What the commands of `npm run sandbox` are given. */
export interface SandboxOptions {
  /** null: what the command takes where none is named. */
  repository: string | null;
  /** Behind `--`. */
  command: string[];
  dryRun: boolean;
  yes: boolean;
  deleteUnpublished: boolean;
  sameUser: boolean;
  show: string[];
}
