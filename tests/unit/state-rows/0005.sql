-- SPDX-License-Identifier: Apache-2.0
-- What version 5 added to them.
INSERT INTO alert (key, kind, object, severity, state, raised_us, resolved_us, message, hint, pending,
    tries, retry_us, notified_us, notify_error) VALUES
    ('lag/machine/7', 'lag', 'machine/7', 'warning', 'resolved', 1, 2, 'it lags', 'look', 'resolved', 1, 9,
        3, NULL);
