-- SPDX-License-Identifier: Apache-2.0
-- Who may use the API. Nothing here can be used to log in by whoever reads it: secrets of clients are
-- hashed, passwords by scrypt, what this program chose at random by SHA-256.

CREATE TABLE account (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    -- scrypt: its parameters stand beside the hash, so that they can grow.
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    scrypt_n INTEGER NOT NULL,
    scrypt_r INTEGER NOT NULL,
    scrypt_p INTEGER NOT NULL,
    added_us INTEGER NOT NULL,
    password_us INTEGER NOT NULL, -- when it was set
    seen_us INTEGER -- the last login
) STRICT;

CREATE TABLE session (
    hash BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    address TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);

CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another token
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    hash BLOB NOT NULL UNIQUE,
    added_us INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    expires_us INTEGER,
    seen_us INTEGER
) STRICT;

-- Failed logins, by whom and from where: 'account/NAME', 'address/ADDRESS'.
CREATE TABLE lockout (
    key TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The code that whoever started the daemon first may make the first account with.
CREATE TABLE setup_code (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash BLOB NOT NULL,
    made_us INTEGER NOT NULL
) STRICT;
