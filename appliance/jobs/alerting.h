/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is wrong, noticed, noted and told: machines that lag, cycles that fail, hosts that are lost,
 * stores that are nearly full or out of reach, bitmaps that missed a change. Each is raised once
 * and resolved once; each of the two is told once, by webhook and mail, tried again while that
 * fails. */

#include "appliance/events/event-hub.h"
#include "appliance/inventory/inventory.h"
#include "appliance/state/alerts.h"
#include "appliance/state/replications.h"

struct alerting;
struct scheduler;
struct scheduler_settings;

/* What it is given is borrowed. */
struct alerting *alerting_new(struct state *state, struct event_hub *hub,
                              struct inventory *inventory);
void alerting_free(struct alerting *alerting);

/* The settings have changed; borrowed as long as they are not loaded anew. */
void alerting_reload(struct alerting *alerting, const struct scheduler_settings *settings);

/* Raises what lags now. Returns when the next machine would begin to, if nothing happened. */
gint64 alerting_check_lag(struct alerting *alerting, const struct scheduler *scheduler,
                          gint64 now_us);

/* A cycle has ended, and the replication knows how; result NULL: it failed. */
void alerting_cycle_ended(struct alerting *alerting, const struct state_replication *replication,
                          const char *name, JsonObject *result);

/* What only the caller knows to be wrong with a machine; message NULL: it is well again. */
void alerting_machine(struct alerting *alerting, const char *kind, gint64 machine,
                      const char *message, const char *hint);

/* The machine is not replicated any more. */
void alerting_forget(struct alerting *alerting, gint64 machine);

/* The caller owns it. */
JsonObject *alert_to_json(const struct state_alert *alert);
