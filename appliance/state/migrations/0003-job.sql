-- SPDX-License-Identifier: Apache-2.0
-- Everything that takes time: what is asked for, what runs, what became of it. Jobs outlive the
-- machines they were about, until they are pruned.

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another job
    kind TEXT NOT NULL CHECK (kind IN ('cycle', 'cleanup', 'verify')),
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
CREATE INDEX job_machine ON job (machine, id);
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('queued', 'running');
CREATE INDEX job_ended ON job (ended_us);

CREATE TABLE job_event (
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL, -- from 1; the oldest go when there are too many
    at_us INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (json_valid(event)),
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
