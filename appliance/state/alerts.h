/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Alerts: a row for each thing that may be wrong, raised or resolved, and whether the outside world
 * has been told. Raising what is raised, and resolving what is not, changes nothing and tells
 * nobody. */

#include "appliance/state/state.h"

#define STATE_ALERT_RAISED "raised"
#define STATE_ALERT_RESOLVED "resolved"

/* Owns its members. Times are 0 where there is none. */
struct state_alert {
    char *kind;     /* "lag" */
    char *object;   /* "machine/7" */
    char *severity; /* "warning" or "critical" */
    char *state;    /* STATE_ALERT_RAISED or STATE_ALERT_RESOLVED */
    char *message;
    char *hint; /* or NULL */
    gint64 raised_us, resolved_us;
    gint64 tries; /* to tell of this state */
    gint64 notified_us;
    char *notify_error; /* of the last try, or NULL */
};

void state_alert_free(struct state_alert *alert);

/* An alert as whoever raises it says it: the members of struct state_alert. Borrowed. */
struct state_alert_words {
    const char *kind, *object, *severity, *message, *hint;
};

/* Raises the alert of that kind about that object. *ret_changed: it was not raised before. The
 * message of one that is raised stays as it was told. */
gboolean state_alert_raise(struct state *state, const struct state_alert_words *words,
                           gboolean *ret_changed, GError **error);
gboolean state_alert_resolve(struct state *state, const char *kind, const char *object,
                             gboolean *ret_changed, GError **error);

/* Arrays of struct state_alert, owned by the caller: all, the raised ones first and the latest
 * first. */
GPtrArray *state_alert_list(struct state *state, GError **error);

/* The next that is to be told now, with state what is to be told; NULL without an error: none. It
 * comes up again at again_us unless state_alert_told is called before, as after a crash.
 * *ret_next_us is when there may be one, G_MAXINT64 when not by itself. */
struct state_alert *state_alert_take_pending(struct state *state, gint64 now_us, gint64 again_us,
                                             gint64 *ret_next_us, GError **error);

/* What came of telling it: failure NULL is success. retry_us 0: it is not tried again. An alert
 * that has changed its state meanwhile is still to be told of the new one. */
gboolean state_alert_told(struct state *state, const struct state_alert *alert, const char *failure,
                          gint64 retry_us, GError **error);
