/** JSON from JSONC: comments and trailing commas go, strings stay as they are. */
export function withoutComments(text: string): string {
  const token = /"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  const bare = text.replace(token, (match) => (match.startsWith('"') ? match : " "));
  return bare.replace(
    /("(?:\\.|[^"\\])*")|,(\s*[}\]])/g,
    (_all, string?: string, close?: string) => string ?? close ?? "",
  );
}
