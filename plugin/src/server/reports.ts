/** What the server says about itself: health, settings, metrics. */
import type { z } from "zod";
import { confinement } from "../confinement.ts";
import type { HealthAnswer, SettingsAnswer } from "../protocol/queries.ts";
import { PROTOCOL_VERSION } from "../protocol/version.ts";
import type { Context } from "./context.ts";
import type { Identity, Role } from "./tokens/tokens.ts";

/**
 * Open to everybody: that the service is there, its version and how many look at it. Paths, sizes and the last error
 * tell about the developer's work and are for callers with a token only.
 */
export function healthReport(
  context: Context,
  identity: Identity | null,
  nonce: string | undefined,
): z.output<typeof HealthAnswer> {
  const report: z.output<typeof HealthAnswer> = {
    healthy: context.desk.problems().length === 0,
    service: "suggestion-manager",
    wsClients: context.connections.sockets,
    version: context.version,
    protocol: PROTOCOL_VERSION,
    uptime_seconds: Math.round((Date.now() - context.startedAt) / 1000),
  };
  if (nonce !== undefined) report.proofs = context.tokens.proofs(nonce, context.addresses);
  if (identity === null) return report;
  const desk = context.desk.health();
  return {
    ...report,
    ...(desk.problems.length === 0 ? {} : { problems: desk.problems }),
    ledger_bytes: desk.ledger_bytes,
    last_seq: desk.last_seq,
    open_suggestions: desk.open_suggestions,
    eventStreams: context.connections.streams,
    projects: desk.projects,
    last_error: desk.last_error,
    ...(identity.role === "developer" ? { confinement: confinement(process.env) } : {}),
  };
}

export function settingsReport(context: Context, role: Role): z.output<typeof SettingsAnswer> {
  const { config, desk } = context;
  return {
    host: config.host,
    port: context.port,
    auto_sync: config.autoSync,
    sync: {
      // The remote itself may hold credentials in its URL.
      own_hub: config.sync.remote === null,
      branch: config.sync.branch,
      base: config.sync.base,
      prefix: config.sync.prefix,
      push_branches: config.sync.pushBranches,
    },
    verify: {
      configured: config.verify.command !== null,
      timeout_seconds: config.verify.timeoutSeconds,
    },
    agent_may_approve: config.agentMayApprove,
    role,
    projects: desk.health().projects,
    limits: { ...context.limits },
    version: context.version,
  };
}

export function metricsText(context: Context): string {
  const { metrics, connections } = context;
  const health = context.desk.health();
  metrics.set("suggestion_manager_sockets", "Open WebSockets", connections.sockets);
  metrics.set("suggestion_manager_event_streams", "Open event streams", connections.streams);
  metrics.set("suggestion_manager_ledger_bytes", "Size of the ledger", health.ledger_bytes);
  metrics.set("suggestion_manager_journal_seq", "Last sequence number of the journal", health.last_seq);
  metrics.set("suggestion_manager_open_suggestions", "Suggestions under review", health.open_suggestions);
  metrics.set("suggestion_manager_events_delivered", "Events handed to clients", context.feed.delivered);
  metrics.set(
    "suggestion_manager_uptime_seconds",
    "Seconds since the server started",
    (Date.now() - context.startedAt) / 1000,
  );
  metrics.set("process_resident_memory_bytes", "Resident memory of the process", process.memoryUsage.rss());
  return metrics.render();
}
