/** Shape checks: a schema's complaint as one sentence that names the field and what was expected there. */
import type { z } from "zod";
import { ReviewError } from "../protocol/errors.ts";

const MOST_ISSUES = 20;

interface FieldIssue {
  field: string;
  message: string;
}

function fieldName(path: PropertyKey[]): string {
  return path.length === 0 ? "(request)" : path.map(String).join(".");
}

/** A union's complaint is "invalid input"; the branch that came nearest says what was wrong with it. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const branches = issue.errors.filter((errors) => errors.length > 0);
  const nearest = branches.sort((a, b) => (b[0]?.path.length ?? 0) - (a[0]?.path.length ?? 0))[0]?.[0];
  if (nearest === undefined) return issue;
  return { ...nearest, path: [...issue.path, ...nearest.path] };
}

function toFieldIssue(raw: z.core.$ZodIssue): FieldIssue {
  const issue = deepest(raw);
  if (issue.code === "unrecognized_keys") {
    const path = [...issue.path, ...issue.keys.slice(0, 1)];
    return { field: fieldName(path), message: "is not known here" };
  }
  const message = issue.message.replace(/^Invalid input: /, "").replace(/^Invalid option: /, "");
  return { field: fieldName(issue.path), message };
}

/**
 * @param what "Request body", "Query", …: opens the sentence
 * @param rename field names as this door spells them
 */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
  rename: (field: string) => string = (field) => field,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, MOST_ISSUES).map((issue) => {
    const { field, message } = toFieldIssue(issue);
    return { field: rename(field), message };
  });
  const first = issues[0] ?? { field: "(request)", message: "not valid" };
  throw new ReviewError("invalid_request", `${what}: ${first.field}: ${first.message}`, {
    details: { field: first.field, expected: first.message, issues },
  });
}

/** A query string as an object; a parameter given twice is refused rather than silently picked from. */
export function queryObject(url: URL): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    if (Object.hasOwn(query, name)) {
      throw new ReviewError("invalid_request", `Query: ${name}: expected once`, { details: { field: name } });
    }
    query[name] = value;
  }
  return query;
}
