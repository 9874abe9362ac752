/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Figures for Prometheus: what is counted while the daemon runs. What the state knows is read when
 * somebody asks. */

#include "appliance/events/event-hub.h"

struct metrics;

/* Counts jobs as the hub tells of their ends. */
struct metrics *metrics_new(struct event_hub *hub);
void metrics_free(struct metrics *metrics);

void metrics_count_request(struct metrics *metrics, const char *method, unsigned status);

/* Appends all that was counted, in the text format 0.0.4. */
void metrics_append(const struct metrics *metrics, GString *text);

/* One family: its help and type come before its samples. */
void metrics_append_head(GString *text, const char *name, const char *type, const char *help);

/* One sample, its labels as pairs of name and value that end with NULL; values are escaped. */
void metrics_append_sample(GString *text, const char *name, const char *const *labels,
                           double value);
