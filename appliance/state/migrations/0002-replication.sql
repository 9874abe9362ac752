-- SPDX-License-Identifier: Apache-2.0
-- Which machines are replicated, how, and how far that has come.

CREATE TABLE replication (
    machine INTEGER PRIMARY KEY REFERENCES machine (id),
    store TEXT NOT NULL REFERENCES store (name),
    state TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    -- What the operator set.
    priority INTEGER NOT NULL DEFAULT 0,
    interval_s INTEGER NOT NULL DEFAULT 0 CHECK (interval_s >= 0), -- 0: automatic
    retain INTEGER NOT NULL DEFAULT 0 CHECK (retain >= 0), -- recovery points, 0: all
    exclude_disks TEXT CHECK (exclude_disks IS NULL OR json_valid(exclude_disks)), -- an array of names
    bandwidth INTEGER NOT NULL DEFAULT 0 CHECK (bandwidth >= 0), -- bytes a second, 0: no limit
    consistency TEXT,
    blackout TEXT CHECK (blackout IS NULL OR json_valid(blackout)), -- an array of windows
    -- What became of it.
    created_us INTEGER NOT NULL,
    next_due_us INTEGER,
    last_started_us INTEGER,
    last_point INTEGER,    -- number of the latest recovery point
    last_point_us INTEGER, -- the time of its snapshot
    last_duration_ms INTEGER,
    failures INTEGER NOT NULL DEFAULT 0, -- since the last success
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    ever_committed INTEGER NOT NULL DEFAULT 0 CHECK (ever_committed IN (0, 1))
) STRICT;
CREATE INDEX replication_due ON replication (next_due_us);
CREATE INDEX replication_store ON replication (store);
