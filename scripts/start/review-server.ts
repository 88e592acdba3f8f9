/** What the launcher asks of the review server, with the developer's token. */
import { StartError } from "./report.ts";

export interface SuggestionRow {
  id: string;
  state: "open" | "finalized" | "discarded";
  description: string;
  hunk_count: number;
  reviewed_count: number;
  files: string[];
}

export class ReviewServer {
  constructor(
    readonly url: string,
    private readonly token: string,
  ) {}

  async suggestions(): Promise<SuggestionRow[]> {
    const response = await fetch(`${this.url}/suggestions?status=all&limit=500`, {
      headers: { authorization: `Bearer ${this.token}` },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) {
      throw new StartError(
        `The review server refused the list of suggestions (status ${response.status}): ${await response.text()}`,
      );
    }
    return ((await response.json()) as { suggestions: SuggestionRow[] }).suggestions;
  }
}
