-- SPDX-License-Identifier: Apache-2.0
-- What the operator tells: hosts, stores, settings, secrets. What hosts tell: machines. Who did what.

CREATE TABLE host (
    name TEXT PRIMARY KEY,
    uri TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('source', 'target', 'both')),
    added_us INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'unknown',
    status_detail TEXT,
    hint TEXT,
    seen_us INTEGER, -- when it answered last
    facts TEXT CHECK (facts IS NULL OR json_valid(facts))
) STRICT;

CREATE TABLE machine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another machine
    host TEXT NOT NULL REFERENCES host (name) ON DELETE CASCADE,
    uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    power TEXT NOT NULL,
    facts TEXT CHECK (facts IS NULL OR json_valid(facts)),
    first_seen_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    gone_us INTEGER, -- since when the host no longer has it
    UNIQUE (host, uuid)
) STRICT;
CREATE INDEX machine_name ON machine (name);
CREATE INDEX machine_uuid ON machine (uuid);

CREATE TABLE store (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('local')),
    path TEXT NOT NULL UNIQUE,
    added_us INTEGER NOT NULL
) STRICT;

CREATE TABLE secret (
    owner TEXT NOT NULL, -- such as host/NAME
    name TEXT NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL, -- AES-256-GCM: ciphertext, then the tag
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL CHECK (json_valid(value))
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL, -- such as host.add
    object TEXT NOT NULL, -- such as host/NAME
    detail TEXT CHECK (detail IS NULL OR json_valid(detail))
) STRICT;
