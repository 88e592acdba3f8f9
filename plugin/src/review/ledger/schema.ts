/**
 * The ledger's tables and how they came to be. Migrations only go forward; a database of a later version is
 * refused and left as it is.
 */

/** "IAC1": marks the file as ours (see sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x49414331;

const V1 = `
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  ts TEXT NOT NULL,
  project TEXT NOT NULL,
  type TEXT NOT NULL,
  suggestion TEXT,
  json TEXT NOT NULL
) STRICT;
CREATE TABLE suggestion (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  hub TEXT NOT NULL,
  change_id TEXT NOT NULL,
  description TEXT NOT NULL,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  hunk_count INTEGER NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0,
  modified INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  session TEXT,
  stacked_on TEXT,
  base_moved INTEGER NOT NULL DEFAULT 0,
  -- What the agent's change was last brought to, and where it was then.
  settled TEXT NOT NULL,
  settled_parent TEXT NOT NULL,
  agent_commit TEXT NOT NULL,
  -- 1: at the next quiet moment; 2: failed, tried again with the next decision or call of the agent.
  settle_needed INTEGER NOT NULL DEFAULT 0,
  -- The working copy is still to be moved off the published change.
  leave_needed INTEGER NOT NULL DEFAULT 0,
  -- A finalize under way: JSON {commit, ref, base, expected, tree}.
  finalizing TEXT,
  result TEXT,
  verify TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX suggestion_by_change ON suggestion (project, change_id);
CREATE INDEX suggestion_by_state ON suggestion (state, project);
CREATE TABLE revision (
  suggestion TEXT NOT NULL REFERENCES suggestion (id),
  n INTEGER NOT NULL,
  base_commit TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  base_tree TEXT NOT NULL,
  commit_tree TEXT NOT NULL,
  author TEXT NOT NULL,
  entries TEXT NOT NULL,
  warnings TEXT NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (suggestion, n)
) STRICT;
CREATE TABLE hunk (
  suggestion TEXT NOT NULL,
  revision INTEGER NOT NULL,
  id TEXT NOT NULL,
  position INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  members TEXT,
  kind TEXT NOT NULL,
  file TEXT NOT NULL,
  path TEXT NOT NULL,
  old_path TEXT,
  old_mode TEXT,
  new_mode TEXT,
  digest TEXT NOT NULL,
  old_from INTEGER NOT NULL,
  old_count INTEGER NOT NULL,
  new_from INTEGER NOT NULL,
  new_count INTEGER NOT NULL,
  context_before INTEGER NOT NULL,
  context_after INTEGER NOT NULL,
  encoding TEXT NOT NULL,
  atomic_reason TEXT,
  diff BLOB NOT NULL,
  split_from TEXT,
  retired INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'pending',
  -- JSON {by, at, comment?, modified?: {from, count, text (base64), diff}, carried_from?}
  decision TEXT,
  earlier TEXT,
  comments TEXT,
  PRIMARY KEY (suggestion, revision, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hunk_in_order ON hunk (suggestion, revision, retired, position, old_from, new_from);
CREATE INDEX hunk_rejected ON hunk (digest) WHERE state = 'rejected';
CREATE TABLE decision_batch (
  id INTEGER PRIMARY KEY,
  suggestion TEXT NOT NULL,
  revision INTEGER NOT NULL,
  by TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT;
CREATE INDEX batch_of ON decision_batch (suggestion, revision);
-- One row for each hunk a batch set: enough to take it back and to do it again.
CREATE TABLE decision (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL REFERENCES decision_batch (id),
  suggestion TEXT NOT NULL,
  hunk TEXT NOT NULL,
  before_state TEXT NOT NULL,
  before TEXT,
  after_state TEXT NOT NULL,
  after TEXT,
  undone INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX decision_of_hunk ON decision (suggestion, hunk);
CREATE INDEX decision_of_batch ON decision (batch);
CREATE TABLE request (
  id TEXT PRIMARY KEY,
  body_hash TEXT NOT NULL,
  answer TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT;
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL,
  suggestion TEXT,
  session TEXT,
  -- note: told at the next chance; revise: makes the agent act
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'new',
  delivery TEXT,
  at TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_waiting ON outbox (state, project);
CREATE TABLE session (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  agent TEXT,
  model TEXT,
  at TEXT NOT NULL
) STRICT;
`;

/**
 * Hunks by a number of their own; what is decided on them apart from what they are, which never changes. A batch of
 * decisions then writes a few small rows for each hunk instead of its whole text.
 */
const V2 = `
DROP INDEX hunk_in_order;
DROP INDEX hunk_rejected;
ALTER TABLE hunk RENAME TO hunk_v1;
CREATE TABLE hunk (
  key INTEGER PRIMARY KEY,
  suggestion TEXT NOT NULL,
  revision INTEGER NOT NULL,
  id TEXT NOT NULL,
  position INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  members TEXT,
  kind TEXT NOT NULL,
  file TEXT NOT NULL,
  path TEXT NOT NULL,
  old_path TEXT,
  old_mode TEXT,
  new_mode TEXT,
  digest TEXT NOT NULL,
  old_from INTEGER NOT NULL,
  old_count INTEGER NOT NULL,
  new_from INTEGER NOT NULL,
  new_count INTEGER NOT NULL,
  context_before INTEGER NOT NULL,
  context_after INTEGER NOT NULL,
  encoding TEXT NOT NULL,
  atomic_reason TEXT,
  split_from TEXT,
  -- 1: cut into parts; 2: a part of what stands in one piece again.
  retired INTEGER NOT NULL DEFAULT 0,
  earlier TEXT,
  diff BLOB NOT NULL
) STRICT;
INSERT INTO hunk (suggestion, revision, id, position, entry, members, kind, file, path, old_path, old_mode, new_mode,
    digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding, atomic_reason,
    split_from, retired, earlier, diff)
  SELECT suggestion, revision, id, position, entry, members, kind, file, path, old_path, old_mode, new_mode,
    digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding, atomic_reason,
    split_from, retired, earlier, diff
  FROM hunk_v1 ORDER BY suggestion, revision, position, old_from, new_from;
CREATE UNIQUE INDEX hunk_by_id ON hunk (suggestion, revision, id);
CREATE INDEX hunk_in_order ON hunk (suggestion, revision, retired, position, old_from, new_from);
-- Of hunks on which something was decided or said; the others are pending.
CREATE TABLE hunk_state (
  hunk INTEGER PRIMARY KEY REFERENCES hunk (key),
  -- The digest's first quarter, by which a hunk that comes again is known.
  mark TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending',
  -- JSON {by, at, comment?, modified?: {from, count, text (base64), diff}, carried_from?}
  decision TEXT,
  comments TEXT
) STRICT;
INSERT INTO hunk_state (hunk, mark, state, decision, comments)
  SELECT hunk.key, substr(hunk.digest, 1, 16), hunk_v1.state, hunk_v1.decision, hunk_v1.comments
  FROM hunk_v1 JOIN hunk USING (suggestion, revision, id)
  WHERE hunk_v1.state <> 'pending' OR hunk_v1.decision IS NOT NULL OR hunk_v1.comments IS NOT NULL
  ORDER BY hunk.key;
CREATE INDEX hunk_rejected ON hunk_state (mark) WHERE state = 'rejected';
CREATE VIEW reviewed_hunk AS
  SELECT hunk.*, coalesce(hunk_state.state, 'pending') AS state, hunk_state.decision AS decision,
    hunk_state.comments AS comments
  FROM hunk LEFT JOIN hunk_state ON hunk_state.hunk = hunk.key;
ALTER TABLE decision RENAME TO decision_v1;
DROP INDEX decision_of_hunk;
DROP INDEX decision_of_batch;
-- One row for each hunk a batch set: enough to take it back and to do it again.
CREATE TABLE decision (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL REFERENCES decision_batch (id),
  hunk INTEGER NOT NULL,
  before_state TEXT NOT NULL,
  before TEXT,
  after_state TEXT NOT NULL,
  after TEXT,
  -- 0, or when it was taken back: the number of the next event then.
  undone INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO decision (id, batch, hunk, before_state, before, after_state, after, undone)
  SELECT decision_v1.id, batch, hunk.key, before_state, before, after_state, after, undone
  FROM decision_v1 JOIN decision_batch ON decision_batch.id = decision_v1.batch
  JOIN hunk ON hunk.suggestion = decision_v1.suggestion AND hunk.revision = decision_batch.revision
    AND hunk.id = decision_v1.hunk
  ORDER BY decision_v1.id;
CREATE INDEX decision_of_hunk ON decision (hunk);
CREATE INDEX decision_of_batch ON decision (batch);
CREATE INDEX decision_undone ON decision (hunk) WHERE undone > 0;
DROP TABLE decision_v1;
DROP TABLE hunk_v1;
-- What an event's text says already.
ALTER TABLE event DROP COLUMN ts;
ALTER TABLE event DROP COLUMN suggestion;
-- Files with hunks, in order, as they are shown: JSON.
ALTER TABLE revision ADD COLUMN files TEXT NOT NULL DEFAULT '[]';
UPDATE revision SET files = (
  SELECT json_group_array(file) FROM (
    SELECT file FROM hunk WHERE hunk.suggestion = revision.suggestion AND hunk.revision = revision.n
    GROUP BY file ORDER BY min(position)));
`;

/** What stands before and after a hunk that has no lines: JSON of the protocol's `before` and `after`. */
const V3 = `
ALTER TABLE hunk ADD COLUMN sides TEXT;
`;

/** What the agent's change stood for at each commit of it, and who is telling the agent what. */
const V4 = `
CREATE TABLE settlement (
  suggestion TEXT NOT NULL REFERENCES suggestion (id),
  -- A commit that the agent's change was.
  agent_commit TEXT NOT NULL,
  -- The commit whose tree it stood for then, and that one's parent.
  settled TEXT NOT NULL,
  settled_parent TEXT NOT NULL,
  PRIMARY KEY (suggestion, agent_commit)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO settlement (suggestion, agent_commit, settled, settled_parent)
  SELECT id, agent_commit, settled, settled_parent FROM suggestion;
-- What was last told of a settle that did not hold; told once, however often it is tried again.
ALTER TABLE suggestion ADD COLUMN settle_problem TEXT;
-- Who is bringing a note to the agent: process id and start time, and which courier in it. See review/tell/owner.ts.
ALTER TABLE outbox ADD COLUMN owner TEXT;
-- The process whose host a session was last seen in.
ALTER TABLE session ADD COLUMN owner TEXT;
`;

/** What taking back a discard needs: when it was taken back, and what an emptied change left behind when it went. */
const V5 = `
-- 0, or when the last discard was taken back: the number of the next event then.
ALTER TABLE suggestion ADD COLUMN discard_undone INTEGER NOT NULL DEFAULT 0;
-- JSON {commit, parent, children}: the change was abandoned with nothing left in it.
ALTER TABLE suggestion ADD COLUMN abandoned TEXT;
`;

/** Words where numbers stood for what a hunk is by now and for when a suggestion is settled, and the hunks that stand. */
const V6 = `
DROP VIEW reviewed_hunk;
CREATE TABLE hunk_in_words (
  key INTEGER PRIMARY KEY,
  suggestion TEXT NOT NULL,
  revision INTEGER NOT NULL,
  id TEXT NOT NULL,
  position INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  members TEXT,
  kind TEXT NOT NULL,
  file TEXT NOT NULL,
  path TEXT NOT NULL,
  old_path TEXT,
  old_mode TEXT,
  new_mode TEXT,
  digest TEXT NOT NULL,
  old_from INTEGER NOT NULL,
  old_count INTEGER NOT NULL,
  new_from INTEGER NOT NULL,
  new_count INTEGER NOT NULL,
  context_before INTEGER NOT NULL,
  context_after INTEGER NOT NULL,
  encoding TEXT NOT NULL,
  atomic_reason TEXT,
  split_from TEXT,
  -- no: it stands; cut: into parts; joined: a part of what stands in one piece again.
  retired TEXT NOT NULL DEFAULT 'no' CHECK (retired IN ('no', 'cut', 'joined')),
  earlier TEXT,
  sides TEXT,
  -- Last: what stands behind many bytes is read through them.
  diff BLOB NOT NULL
) STRICT;
INSERT INTO hunk_in_words (key, suggestion, revision, id, position, entry, members, kind, file, path, old_path,
    old_mode, new_mode, digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding,
    atomic_reason, split_from, retired, earlier, sides, diff)
  SELECT key, suggestion, revision, id, position, entry, members, kind, file, path, old_path,
    old_mode, new_mode, digest, old_from, old_count, new_from, new_count, context_before, context_after, encoding,
    atomic_reason, split_from, CASE retired WHEN 0 THEN 'no' WHEN 1 THEN 'cut' ELSE 'joined' END, earlier, sides, diff
  FROM hunk ORDER BY key;
DROP TABLE hunk;
ALTER TABLE hunk_in_words RENAME TO hunk;
CREATE UNIQUE INDEX hunk_by_id ON hunk (suggestion, revision, id);
CREATE INDEX hunk_in_order ON hunk (suggestion, revision, retired, position, old_from, new_from);
CREATE VIEW reviewed_hunk AS
  SELECT hunk.*, coalesce(hunk_state.state, 'pending') AS state, hunk_state.decision AS decision,
    hunk_state.comments AS comments
  FROM hunk LEFT JOIN hunk_state ON hunk_state.hunk = hunk.key;
CREATE VIEW standing_hunk AS
  SELECT hunk.*, coalesce(hunk_state.state, 'pending') AS state, hunk_state.decision AS decision,
    hunk_state.comments AS comments
  FROM hunk LEFT JOIN hunk_state ON hunk_state.hunk = hunk.key
  WHERE hunk.retired = 'no';
-- yes: at the next quiet moment; failed: in whole or in part, tried again with the next decision or call of the agent.
ALTER TABLE suggestion ADD COLUMN settle_in_words TEXT NOT NULL DEFAULT 'no'
  CHECK (settle_in_words IN ('no', 'yes', 'failed'));
UPDATE suggestion SET settle_in_words = CASE settle_needed WHEN 1 THEN 'yes' ELSE 'failed' END WHERE settle_needed <> 0;
ALTER TABLE suggestion DROP COLUMN settle_needed;
ALTER TABLE suggestion RENAME COLUMN settle_in_words TO settle_needed;
`;

const V7 = `
-- What the rings around the agent refused: alike ones are one row.
CREATE TABLE refusal (
  project TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  reason TEXT NOT NULL,
  program TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  told_at TEXT NOT NULL,
  PRIMARY KEY (project, kind, target, reason, program)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_by_time ON refusal (project, last_at);
`;

/** What the agent does. One row for each entry, as it is now: the journal of the review stays as it is. */
const V8 = `
CREATE TABLE activity (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  session TEXT NOT NULL,
  root TEXT NOT NULL,
  type TEXT NOT NULL,
  -- Something more is to come of it, as long as the process that wrote it lives. See review/tell/owner.ts.
  open TEXT NOT NULL CHECK (open IN ('no', 'yes')),
  owner TEXT NOT NULL,
  message TEXT,
  bytes INTEGER NOT NULL,
  json TEXT NOT NULL
) STRICT;
CREATE INDEX activity_in_order ON activity (root, position, bytes);
CREATE INDEX activity_of_message ON activity (message) WHERE message IS NOT NULL;
CREATE INDEX activity_open ON activity (project, position) WHERE open = 'yes';
`;

export interface Migration {
  /** Kept in the ledger: never changed once it was released. */
  readonly name: string;
  readonly sql: string;
}

const V9 = `
ALTER TABLE refusal ADD COLUMN command TEXT NOT NULL DEFAULT '';
`;

/** Which call of the agent's made which line: what calls changed, until it is published, and what was made of it then. */
const V10 = `
CREATE TABLE agent_call (
  -- <session>/<call id>
  call TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  session TEXT NOT NULL,
  tool TEXT NOT NULL,
  summary TEXT NOT NULL,
  began_at TEXT NOT NULL,
  ended_at TEXT NOT NULL,
  exit_code INTEGER,
  test TEXT NOT NULL CHECK (test IN ('no', 'yes'))
) STRICT, WITHOUT ROWID;
CREATE INDEX activity_of_session ON activity (session, type, position);
CREATE INDEX agent_call_by_time ON agent_call (project, ended_at) WHERE test = 'yes';
CREATE TABLE file_change (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  path TEXT NOT NULL,
  -- JSON: the calls that may have made it.
  calls TEXT NOT NULL,
  watch TEXT NOT NULL,
  -- '<mode> <object id>', '-' for no file, '?' for what was not kept.
  before TEXT NOT NULL,
  after TEXT NOT NULL
) STRICT;
CREATE INDEX file_change_of ON file_change (project, path, id);
-- The last change that was remembered when it was published.
ALTER TABLE revision ADD COLUMN last_change INTEGER NOT NULL DEFAULT 0;
CREATE TABLE provenance (
  suggestion TEXT NOT NULL REFERENCES suggestion (id),
  revision INTEGER NOT NULL,
  json TEXT NOT NULL,
  PRIMARY KEY (suggestion, revision)
) STRICT, WITHOUT ROWID;
`;

/**
 * In order. A ledger keeps the names of those it has been through, so that one which another program changed in
 * another way is known as such, though it has the same number of steps.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: "first tables", sql: V1 },
  { name: "decisions apart from hunks", sql: V2 },
  { name: "sides of hunks without lines", sql: V3 },
  { name: "settlements and owners", sql: V4 },
  { name: "discards taken back", sql: V5 },
  { name: "states in words", sql: V6 },
  { name: "refusals", sql: V7 },
  { name: "activity of the agent", sql: V8 },
  { name: "commands behind refusals", sql: V9 },
  { name: "provenance of lines", sql: V10 },
];

/** Ledgers with this many steps and fewer kept their number alone. */
export const UNNAMED = 5;
