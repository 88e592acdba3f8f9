/** Who may call what: each use case and route names one of these, and both doors ask here. */
import { ReviewError } from "../protocol/errors.ts";
import type { Role } from "./tokens/tokens.ts";

/**
 * `read` and `report` are for every token; `decide` for the developer's, and the agent's where settings allow;
 * `developer` for the developer's alone, whatever settings say.
 */
export type Access = "read" | "report" | "decide" | "developer";

export function checkAccess(access: Access, role: Role, agentMayApprove: boolean): void {
  if (access === "developer" && role !== "developer")
    throw new ReviewError("forbidden", "What the agent does and asks is for the developer's token alone");
  if (access !== "decide" || role === "developer" || agentMayApprove) return;
  throw new ReviewError(
    "forbidden",
    "The agent's token may publish, report and read; deciding is the developer's",
  );
}
