-- SPDX-License-Identifier: Apache-2.0
-- What version 2 added to them.
INSERT INTO replication (machine, store, state, paused, priority, interval_s, retain, exclude_disks,
    bandwidth, consistency, blackout, created_us, next_due_us, last_started_us, last_point,
    last_point_us, last_duration_ms, failures, error, ever_committed) VALUES
    (7, 'main', 'replicating', 1, 5, 900, 24, '["vdb"]', 1048576, 'crash', '["Mon-Fri 08:00-18:00"]',
        1, 2, 3, 4, 5, 6, 7, '{"code":"source"}', 1),
    (9, 'main', 'initial-replication', 0, 0, 0, 0, NULL, 0, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL,
        0, NULL, 0);
