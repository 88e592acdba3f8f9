/** Stands in for a desk whose ledger cannot be used: says what is wrong to whoever asks, and does nothing else. */
import { join } from "node:path";
import type { ReviewError } from "../protocol/errors.ts";
import type { DeskHealth, ReviewDesk } from "./contract.ts";

/** @param damage what every use case is refused with */
export function damagedDesk(stateDir: string, damage: ReviewError): ReviewDesk {
  const health: DeskHealth = {
    ledger_bytes: 0,
    last_seq: 0,
    open_suggestions: 0,
    projects: [],
    problems: [damage.message],
    last_error: { at: new Date().toISOString(), message: damage.message },
  };
  const able: Partial<ReviewDesk> = {
    health: () => health,
    problems: () => health.problems,
    lastSeq: () => 0,
    subscribe: () => () => undefined,
    eventTexts: () => [],
    activityTexts: () => [],
    lastActivity: () => 0,
    onActivity: () => () => undefined,
    hubRoot: () => join(stateDir, "git"),
    pushableRefs: () => [],
  };
  return new Proxy(able as ReviewDesk, {
    get: (desk, name: keyof ReviewDesk) =>
      desk[name] ??
      (() => {
        throw damage;
      }),
  });
}
