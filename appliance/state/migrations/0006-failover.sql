-- SPDX-License-Identifier: Apache-2.0
-- Moving machines: where to, what is and was done about it step by step, and rehearsals.

-- Who we are, among the daemons that may share a store.
CREATE TABLE appliance (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL -- 16 hexadecimal digits
) STRICT;
INSERT INTO appliance (only, id) VALUES (1, lower(hex(randomblob(8))));

-- A host that machines may move to, and what things are called there.
CREATE TABLE target (
    host TEXT PRIMARY KEY REFERENCES host (name) ON DELETE CASCADE,
    reach TEXT NOT NULL CHECK (reach IN ('path', 'nbd')),
    store_path TEXT, -- where the store's folder is seen there, unless it is the same
    pool TEXT,       -- for disks that are brought there
    networks TEXT NOT NULL CHECK (json_valid(networks)), -- network or bridge here: network there
    test_network TEXT,
    machine TEXT NOT NULL CHECK (json_valid(machine)), -- name_suffix, cpus, …
    updated_us INTEGER NOT NULL
) STRICT;

-- A test, a move, or what ends one of them. Operations outlive the machines they were about.
CREATE TABLE failover (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another operation
    kind TEXT NOT NULL,
    machine INTEGER NOT NULL,
    subject INTEGER REFERENCES failover (id), -- the test or move that this one ends
    job INTEGER NOT NULL, -- the latest one
    target TEXT,          -- a host
    recovery_point INTEGER,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'returning', 'live', 'stuck', 'done',
        'undone', 'failed', 'cancelled')),
    verdict TEXT CHECK (verdict IN ('passed', 'failed')),
    who TEXT NOT NULL,
    options TEXT NOT NULL CHECK (json_valid(options)),
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    asked_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    due_us INTEGER -- when something happens by itself: it begins, is cleaned up, is rolled back
) STRICT;
CREATE INDEX failover_machine ON failover (machine, id);
CREATE INDEX failover_subject ON failover (subject);
CREATE INDEX failover_open ON failover (state)
    WHERE state IN ('waiting', 'running', 'returning', 'live', 'stuck');

-- The journal: a row before a step begins, its end as soon as it is known.
CREATE TABLE failover_step (
    failover INTEGER NOT NULL REFERENCES failover (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL, -- from 1
    step TEXT NOT NULL,
    begun_us INTEGER NOT NULL,
    ended_us INTEGER, -- NULL: it is being done
    result TEXT CHECK (result IS NULL OR json_valid(result)),
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    PRIMARY KEY (failover, seq)
) STRICT, WITHOUT ROWID;

-- Tests that begin by themselves.
CREATE TABLE rehearsal (
    machine INTEGER PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
    who TEXT NOT NULL,
    plan TEXT NOT NULL CHECK (json_valid(plan)), -- interval_days or weekday, time, options
    next_us INTEGER NOT NULL,
    failover INTEGER -- the latest
) STRICT;

-- Operations are jobs, too. The table is built anew for its CHECK, under the numbers it has given.
CREATE TABLE new_job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another job
    kind TEXT NOT NULL CHECK (kind IN ('cycle', 'cleanup', 'verify', 'test', 'test-cleanup', 'plan',
        'migrate', 'check', 'rollback', 'complete', 'reverse')),
    machine INTEGER NOT NULL,
    parameters TEXT CHECK (parameters IS NULL OR json_valid(parameters)), -- what was asked for, by kind
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    who TEXT NOT NULL, -- "schedule", or who asked
    attempt INTEGER NOT NULL DEFAULT 1,
    queued_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    step TEXT,
    done_bytes INTEGER NOT NULL DEFAULT 0,
    total_bytes INTEGER NOT NULL DEFAULT 0,
    rate INTEGER NOT NULL DEFAULT 0, -- bytes a second
    result TEXT CHECK (result IS NULL OR json_valid(result)),
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    child_pid INTEGER, -- the process that does it, told from a later one of that number
    child_start INTEGER -- by when the kernel says that it started
) STRICT;
CREATE TABLE new_job_event (
    job INTEGER NOT NULL REFERENCES new_job (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL, -- from 1; the oldest go when there are too many
    at_us INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (json_valid(event)),
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO new_job SELECT id, kind, machine, parameters, state, who, attempt, queued_us, started_us,
    ended_us, step, done_bytes, total_bytes, rate, result, error, child_pid, child_start FROM job;
INSERT INTO new_job_event SELECT job, seq, at_us, event FROM job_event;
DELETE FROM sqlite_sequence WHERE name = 'new_job';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_job', seq FROM sqlite_sequence WHERE name = 'job';
DROP TABLE job_event;
DROP TABLE job;
ALTER TABLE new_job RENAME TO job;
ALTER TABLE new_job_event RENAME TO job_event;
CREATE INDEX job_machine ON job (machine, id);
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('queued', 'running');
CREATE INDEX job_ended ON job (ended_us);
