/** What settling a project and what follows from it are given. */
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";

export interface SettleContext {
  ledger: Ledger;
  project: Project;
  now: () => Date;
}
