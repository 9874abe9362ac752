-- SPDX-License-Identifier: Apache-2.0
-- What version 6 added to them.
INSERT INTO target (host, reach, store_path, pool, networks, test_network, machine, updated_us) VALUES
    ('alpha', 'path', '/mnt/store', 'default', '{"br0":"lan"}', NULL, '{"name_suffix":"-there"}', 5);
INSERT INTO failover (id, kind, machine, subject, job, target, recovery_point, state, verdict, who,
    options, error, asked_us, started_us, ended_us, due_us) VALUES
    (5, 'migrate', 7, NULL, 11, 'alpha', 4, 'live', 'passed', 'ann', '{}', NULL, 1, 2, NULL, 9),
    (6, 'rollback', 7, 5, 12, 'alpha', 4, 'running', NULL, 'ann', '{}', NULL, 3, 4, NULL, NULL);
INSERT INTO failover_step (failover, seq, step, begun_us, ended_us, result, error) VALUES
    (5, 1, 'define', 1, 2, '{"domain_name":"web"}', NULL),
    (6, 1, 'stop', 3, NULL, NULL, NULL);
INSERT INTO rehearsal (machine, who, plan, next_us, failover) VALUES
    (7, 'ann', '{"interval_days":7,"time":"03:00"}', 7, NULL);
INSERT INTO job (id, kind, machine, state, who, queued_us) VALUES (12, 'rollback', 7, 'queued', 'ann', 3);
