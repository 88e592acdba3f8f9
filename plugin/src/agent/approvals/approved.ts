/**
 * What the developer has approved in this run of opencode: calls that were held, each with the very arguments that were
 * approved, and rules. What the host asks for one of them is answered for the developer, who has been asked once.
 */
import type { PermissionRequest } from "@opencode-ai/sdk/v2";
import { evaluate, type Rule } from "./rules.ts";
import { type Call, fileOf, type Place, permissionsOf } from "./would-ask.ts";

interface ApprovedCall {
  call: Call;
  /** The arguments as they were approved. */
  snapshot: string;
  place: Place;
  /** Its turn is over, or it has failed: what the host still asks for it comes too late. */
  over: boolean;
}

/** Calls that are over of which it is known. */
const MOST_OVER = 50;

export class Approved {
  readonly #rules: Rule[] = [];
  readonly #calls = new Set<ApprovedCall>();

  get rules(): readonly Rule[] {
    return this.#rules;
  }

  allow(rules: readonly Rule[]): void {
    for (const rule of rules)
      if (!this.#rules.some((one) => one.permission === rule.permission && one.pattern === rule.pattern))
        this.#rules.push(rule);
  }

  add(call: Call, place: Place): void {
    this.#calls.add({ call, snapshot: JSON.stringify(call.arguments), place, over: false });
  }

  /** The call has run: another one by the same name is another one. */
  ran(session: string, call: string): void {
    for (const one of this.#calls)
      if (one.call.session === session && one.call.call === call) this.#calls.delete(one);
  }

  /** The call has failed, or without a name: all of the session were stopped. The host may not have noticed yet. */
  ended(session: string, call?: string): void {
    for (const one of this.#calls)
      if (one.call.session === session && (call === undefined || one.call.call === call)) one.over = true;
    const over = [...this.#calls].filter((one) => one.over);
    for (const one of over.slice(0, -MOST_OVER)) this.#calls.delete(one);
  }

  /** Whether the host asks for a call that was stopped: it would run it, were it answered. */
  isLate(asked: PermissionRequest): boolean {
    // Names of calls come again where a provider counts them.
    const named = [...this.#calls].filter((one) => isThatCall(asked, one));
    return named.length > 0 && named.every(({ over }) => over);
  }

  covers(asked: PermissionRequest): boolean {
    const { permission, patterns } = asked;
    // The host has taken the line apart: each of its commands is one that was allowed.
    if (
      patterns.length > 0 &&
      patterns.every((pattern) => evaluate(permission, pattern, this.#rules) === "allow")
    )
      return true;
    return [...this.#calls].some((one) => !one.over && isThatCall(asked, one));
  }
}

function isThatCall(asked: PermissionRequest, { call, snapshot, place }: ApprovedCall): boolean {
  const { command, filepath } = asked.metadata;
  const named = call.tool === "bash" ? call.arguments.command : fileOf(call.arguments, place);
  const same = call.tool === "bash" ? command : filepath;
  return (
    asked.sessionID === call.session &&
    asked.tool?.callID === call.call &&
    permissionsOf(call.tool).includes(asked.permission) &&
    (named === undefined || same === named) &&
    // Nothing has changed them since.
    JSON.stringify(call.arguments) === snapshot
  );
}
