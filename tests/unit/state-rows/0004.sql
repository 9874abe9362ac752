-- SPDX-License-Identifier: Apache-2.0
-- What version 4 added to them.
INSERT INTO account (name, role, salt, hash, scrypt_n, scrypt_r, scrypt_p, added_us, password_us, seen_us)
    VALUES ('ada', 'operator', x'00', x'01', 16384, 8, 1, 1, 2, NULL);
INSERT INTO session (hash, account, address, started_us, seen_us) VALUES (x'02', 'ada', '::1', 3, 4);
INSERT INTO token (name, role, hash, added_us, added_by) VALUES ('monitoring', 'viewer', x'03', 5, 'ada');
INSERT INTO lockout (key, failures, last_us, until_us) VALUES ('account/ada', 2, 6, 7);
