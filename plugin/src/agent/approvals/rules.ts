/** The host's permission rules, as the host reads them: the last one that matches counts, and without one it asks. Pure. */

export type Action = "allow" | "ask" | "deny";

export interface Rule {
  permission: string;
  pattern: string;
  action: Action;
}

/** The host's wildcards: `*` is any text, `?` one character, and a pattern that ends in ` *` also matches without it. */
export function matches(text: string, pattern: string): boolean {
  const escaped = pattern
    .replaceAll("\\", "/")
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  const optional = escaped.endsWith(" .*") ? `${escaped.slice(0, -3)}( .*)?` : escaped;
  return new RegExp(`^${optional}$`, "s").test(text.replaceAll("\\", "/"));
}

export function evaluate(permission: string, pattern: string, rules: readonly Rule[]): Action {
  const rule = rules.findLast((one) => matches(permission, one.permission) && matches(pattern, one.pattern));
  return rule?.action ?? "ask";
}

/** Whether there is anything at all that these rules ask for. */
export function canAsk(permission: string, rules: readonly Rule[]): boolean {
  const of = rules.filter((one) => matches(permission, one.permission));
  const whole = of.findLastIndex(({ pattern }) => pattern === "*");
  return whole < 0 || of.slice(whole).some(({ action }) => action === "ask");
}
