/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of tests and moves: what each may be. They are looked at before anything begins, so
 * that a move does not end half way because of a word that nobody understands. */

#include <json-glib/json-glib.h>

/* The members that bodies may have, for tables of routes. */
#define FAILOVER_TEST_OPTIONS                                                                      \
    "target recovery_point network name_suffix memory_mib wait_s probes cleanup_after_s"
#define FAILOVER_MIGRATE_OPTIONS                                                                   \
    "target shutdown network_live shutdown_deadline_s on_deadline final_pass_s max_passes verify " \
    "on_failure probes at commit_after_s rollback_unless require_test_days copy_mib_s"
#define FAILOVER_CLEANUP_OPTIONS "test"
#define FAILOVER_ROLLBACK_OPTIONS "keep_disks deadline_s abandon_target"
#define FAILOVER_COMPLETE_OPTIONS "disks copy_mib_s abandon"
#define FAILOVER_REHEARSAL_OPTIONS "interval_days weekday time options"

/* Whether each has a value that it may have; a member that is null was not given. Error config. */
gboolean failover_options_check(JsonObject *options, GError **error);
