-- SPDX-License-Identifier: Apache-2.0
-- Rows such as a database of version 1 had them.
INSERT INTO host (name, uri, role, added_us, status, status_detail, hint, seen_us, facts) VALUES
    ('alpha', 'qemu:///system', 'both', 1000000, 'connected', NULL, NULL, 2000000, '{"cpus":2}'),
    ('beta', 'qemu+ssh://root@beta/system', 'source', 1000001, 'lost', 'no route', 'start it', NULL, NULL);
INSERT INTO machine (id, host, uuid, name, power, facts, first_seen_us, seen_us, gone_us) VALUES
    (7, 'alpha', '11111111-1111-1111-1111-111111111111', 'web', 'running', '{"disks":[]}', 1, 2, NULL),
    (8, 'alpha', '22222222-2222-2222-2222-222222222222', 'old', 'off', NULL, 1, 2, 3),
    (9, 'beta', '11111111-1111-1111-1111-111111111111', 'web', 'off', NULL, 1, 2, NULL);
INSERT INTO store (name, kind, path, added_us) VALUES ('main', 'local', '/srv/store', 1000002);
INSERT INTO secret (owner, name, nonce, sealed) VALUES ('host/beta', 'password', x'00', x'0102');
INSERT INTO setting (name, value) VALUES ('cycles_max', '7');
INSERT INTO audit (id, at_us, who, action, object, detail) VALUES
    (40, 1000000, 'root', 'host.add', 'host/alpha', '{"uri":"qemu:///system"}');
