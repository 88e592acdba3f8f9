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

  /** @returns whether they are done with: taken, or of a form that this server never takes */
  async reportRefusals(refusals: readonly unknown[]): Promise<boolean> {
    const response = await fetch(`${this.url}/sandbox/refusals`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      body: JSON.stringify({ refusals }),
      signal: AbortSignal.timeout(10_000),
    });
    return response.ok || [400, 413, 422].includes(response.status);
  }
}
