/** The arguments of a call as the developer changed them: the same fields, of the same types. Pure. */
import { type CallArguments, MOST_ARGUMENTS } from "../../protocol/activity.ts";
import { ReviewError } from "../../protocol/errors.ts";

/** Without them a call is none. */
const NEVER_EMPTY = new Set(["command", "filePath", "patchText", "path"]);

const refuse = (field: string, expected: string): ReviewError =>
  new ReviewError("invalid_request", `${field}: expected ${expected}`, { details: { field, expected } });

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return "a text";
  return typeof value === "number" ? "a number" : "true or false";
}

/** @throws ReviewError where a value has another shape than the one in its place */
function checkShape(field: string, before: unknown, after: unknown): void {
  const kind = kindOf(before);
  if (kindOf(after) !== kind) throw refuse(field, `${kind}, as it was`);
  if (typeof after === "string" && after.includes("\0")) throw refuse(field, "a text without a NUL");
  if (Array.isArray(before) && Array.isArray(after)) {
    const [sample] = before;
    if (sample !== undefined)
      for (const [index, one] of after.entries())
        checkShape(`${field}.${index}`, before[index] ?? sample, one);
  } else if (kind === "an object") {
    checkFields(`${field}.`, before as CallArguments, after as CallArguments);
    for (const name of Object.keys(before as CallArguments))
      if (!Object.hasOwn(after as CallArguments, name)) throw refuse(`${field}.${name}`, "a value");
  }
}

function checkFields(at: string, before: CallArguments, after: CallArguments): void {
  for (const [name, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, name))
      throw refuse(at + name, `one of the call's own fields: ${Object.keys(before).join(", ")}`);
    checkShape(at + name, before[name], value);
  }
}

/**
 * @param change the fields that are other than before
 * @throws ReviewError `invalid_request` that names the field
 */
export function editedArguments(before: CallArguments, change: CallArguments): CallArguments {
  checkFields("arguments.", before, change);
  for (const [name, value] of Object.entries(change))
    if (NEVER_EMPTY.has(name) && typeof value === "string" && value.trim() === "")
      throw refuse(`arguments.${name}`, "a text that is not empty");
  const after = { ...before, ...change };
  if (JSON.stringify(after) === JSON.stringify(before))
    throw refuse("arguments", "something other than what was asked for; once runs it as it is");
  if (Buffer.byteLength(JSON.stringify(after)) > MOST_ARGUMENTS)
    throw refuse("arguments", `at most ${MOST_ARGUMENTS} bytes in all`);
  return after;
}

/** Makes of the host's own object what is to run. */
export function putInto(target: CallArguments, values: CallArguments): void {
  for (const name of Object.keys(target)) if (!Object.hasOwn(values, name)) delete target[name];
  Object.assign(target, values);
}

/** Characters of an argument that the model is told again. */
const MOST_TOLD = 4_000;

function told(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= MOST_TOLD ? text : `${text.slice(0, MOST_TOLD)}… (${text.length - MOST_TOLD} more)`;
}

/** What the model is told with the output: it would else take it for its own call's. */
export function editNote(before: CallArguments, after: CallArguments): string {
  const changed = Object.keys(after).filter(
    (name) => JSON.stringify(after[name]) !== JSON.stringify(before[name]),
  );
  const lines = changed.map(
    (name) => `${name}: asked for ${told(before[name])}, ran with ${told(after[name])}`,
  );
  return `<developer_edit>\nThe developer edited this call before it ran.\n${lines.join("\n")}\n</developer_edit>`;
}
