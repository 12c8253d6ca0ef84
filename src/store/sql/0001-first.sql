-- Every table has workspace_id first in its key, so that it can be sharded. Installation-wide rows
-- use workspace ''. Times are milliseconds since 1970 UTC. "sealed" columns are boxes that only the
-- holder of the named key can open.

CREATE TABLE meta (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

-- Who may decide: keeper's sealed document, one row a version; only the newest is kept.
CREATE TABLE roster (
    workspace_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (workspace_id)
);

-- A connection's secrets, sealed by keeper for exactly this row.
CREATE TABLE credential (
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, version)
);

CREATE TABLE action (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    connector TEXT NOT NULL,
    operation TEXT NOT NULL,
    product TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    account TEXT,
    state TEXT NOT NULL,
    outcome TEXT,
    error_code TEXT,
    tier INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    payload_hash TEXT NOT NULL,
    join_hash TEXT NOT NULL,
    binding TEXT,
    nonce TEXT,
    quorum TEXT,
    evidence TEXT,
    reasons TEXT NOT NULL,
    policy_digest TEXT,
    idempotency_key TEXT,
    thread_id TEXT,
    attempt_of TEXT,
    proposed_at INTEGER NOT NULL,
    decide_by INTEGER,
    execute_by INTEGER,
    decided_at INTEGER,
    approvers TEXT,
    ended_at INTEGER,
    told_at INTEGER,
    executed_payload_hash TEXT,
    provider_request_id TEXT,
    rejected_by TEXT,
    rejection_reason TEXT,
    rejection_option TEXT,
    reauth_reason TEXT,
    reauth_url TEXT,
    reauth_expires_at INTEGER,
    given INTEGER NOT NULL DEFAULT 0,
    changed_seq INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL,
    sealed_request BLOB NOT NULL,
    sealed_extra BLOB,
    sealed_result BLOB,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX action_join ON action (workspace_id, join_hash, id);
CREATE INDEX action_agent ON action (workspace_id, agent_id, id);
CREATE INDEX action_pending ON action (workspace_id, decide_by, id) WHERE state = 'pending';
CREATE INDEX action_approved ON action (workspace_id, id) WHERE state = 'approved';
CREATE INDEX action_blocked ON action (workspace_id, id) WHERE state = 'blocked';

-- Undecided actions per agent, kept by the one writer of states, so that the limit costs one read.
CREATE TABLE agent_load (
    workspace_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    pending INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, agent_id)
);

-- Idempotency keys of agents, for 30 days.
CREATE TABLE idempotency (
    workspace_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    key TEXT NOT NULL,
    payload_hash TEXT NOT NULL,
    action_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, agent_id, connection_id, key)
);
CREATE INDEX idempotency_age ON idempotency (workspace_id, at);

-- Every upstream call: what was tried, with which key, and what is known of it.
CREATE TABLE send (
    workspace_id TEXT NOT NULL,
    action_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    keeper_epoch TEXT NOT NULL,
    idempotency_key TEXT,
    grant_text TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    status INTEGER,
    error_code TEXT,
    provider_request_id TEXT,
    PRIMARY KEY (workspace_id, action_id, attempt)
);
CREATE INDEX send_open ON send (workspace_id, state) WHERE state = 'sending';

CREATE TABLE vote (
    workspace_id TEXT NOT NULL,
    action_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    person_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    binding TEXT NOT NULL,
    reason TEXT,
    option TEXT,
    at INTEGER NOT NULL,
    auth_time INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    evidence TEXT NOT NULL,
    mac TEXT NOT NULL,
    PRIMARY KEY (workspace_id, action_id, revision, person_id)
);

-- Durable work due at a time. One job of a kind for one thing.
CREATE TABLE job (
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, kind, ref)
);
CREATE INDEX job_due ON job (due);

-- Where the agent wants to be woken, and how far that has come.
CREATE TABLE target (
    workspace_id TEXT NOT NULL,
    action_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (workspace_id, action_id, n)
);
CREATE TABLE delivery (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    action_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    event TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    last_status INTEGER,
    last_error TEXT,
    delivered_at INTEGER,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX delivery_action ON delivery (workspace_id, action_id);

-- Tier 1: done already, shown to people.
CREATE TABLE notice (
    workspace_id TEXT NOT NULL,
    action_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    seen_by TEXT,
    seen_at INTEGER,
    PRIMARY KEY (workspace_id, action_id)
);

CREATE TABLE freeze (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    released_by TEXT,
    released_at INTEGER,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE session (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    person_id TEXT NOT NULL,
    csrf TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    auth_time INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ended_at INTEGER,
    revoked INTEGER NOT NULL DEFAULT 0,
    mac TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX session_token ON session (token_hash);
CREATE INDEX session_person ON session (workspace_id, person_id);

-- Failed sign-ins, per account and per address.
CREATE TABLE login_failure (
    workspace_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, subject)
);

-- When a provider made something that later deadlines count from (a Plaid authorization).
CREATE TABLE remembered (
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, kind, key)
);

CREATE TABLE audit_event (
    workspace_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    action_id TEXT,
    body TEXT NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX audit_action ON audit_event (workspace_id, action_id, seq) WHERE action_id IS NOT NULL;
CREATE TABLE audit_head (
    workspace_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (workspace_id)
);
CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN
    SELECT RAISE(ABORT, 'the audit log only grows');
END;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN
    SELECT RAISE(ABORT, 'the audit log only grows');
END;
