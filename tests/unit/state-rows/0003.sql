-- SPDX-License-Identifier: Apache-2.0
-- What version 3 added to them.
INSERT INTO job (id, kind, machine, parameters, state, who, attempt, queued_us, started_us, ended_us,
    step, done_bytes, total_bytes, rate, result, error, child_pid, child_start) VALUES
    (3, 'cycle', 7, NULL, 'done', 'schedule', 1, 1, 2, 3, 'finishing', 4, 5, 6, '{"number":4}', NULL,
        NULL, NULL),
    (4, 'cleanup', 9, '{"remove_replica":true}', 'running', 'root', 2, 1, 2, NULL, NULL, 0, 0, 0, NULL,
        '{"code":"source"}', 100, 200);
INSERT INTO job_event (job, seq, at_us, event) VALUES (3, 1, 5, '{"event":"snapshot"}');
