-- SPDX-License-Identifier: Apache-2.0
-- What somebody should look at. A row for each thing that may be wrong: raised, or resolved; raised
-- again it is the same row.

CREATE TABLE alert (
    key TEXT PRIMARY KEY, -- kind/object
    kind TEXT NOT NULL,   -- such as lag
    object TEXT NOT NULL, -- such as machine/7
    severity TEXT NOT NULL CHECK (severity IN ('warning', 'critical')),
    state TEXT NOT NULL CHECK (state IN ('raised', 'resolved')),
    raised_us INTEGER NOT NULL,
    resolved_us INTEGER,
    message TEXT NOT NULL,
    hint TEXT,
    -- Telling the outside world: the state that is still to be told, how often that was tried, when
    -- it is tried again, and what came of the last try.
    pending TEXT CHECK (pending IN ('raised', 'resolved')),
    tries INTEGER NOT NULL DEFAULT 0,
    retry_us INTEGER,
    notified_us INTEGER,
    notify_error TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_pending ON alert (retry_us) WHERE pending IS NOT NULL;
