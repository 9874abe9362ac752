/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/failover/failover.h"
#include "base/error.h"

struct failovers {
    struct state *state;
    struct event_hub *hub;
    struct scheduler *scheduler;
    struct inventory *inventory;
    char *folder;
};

struct failovers *failovers_new(struct state *state, struct event_hub *hub,
                                struct scheduler *scheduler, struct inventory *inventory,
                                const char *folder, GError **error)
{
    struct failovers *failovers = g_new0(struct failovers, 1);
    (void)error;
    failovers->state = state;
    failovers->hub = hub;
    failovers->scheduler = scheduler;
    failovers->inventory = inventory;
    failovers->folder = g_strdup(folder);
    return failovers;
}

void failovers_free(struct failovers *failovers)
{
    if (!failovers)
        return;
    g_free(failovers->folder);
    g_free(failovers);
}

void failovers_drain(struct failovers *failovers)
{
    (void)failovers;
}

static gboolean unsupported(GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED, NULL, "this landfalld cannot do that");
    return FALSE;
}

#define UNSUPPORTED(name)                                                                          \
    FAILOVER_VERB(name)                                                                            \
    {                                                                                              \
        (void)failovers, (void)who, (void)machine, (void)options, (void)ret_ids;                   \
        return unsupported(error);                                                                 \
    }

UNSUPPORTED(failover_test)
UNSUPPORTED(failover_cleanup)
UNSUPPORTED(failover_migrate)
UNSUPPORTED(failover_plan)
UNSUPPORTED(failover_confirm)
UNSUPPORTED(failover_rollback)
UNSUPPORTED(failover_complete)
UNSUPPORTED(failover_reverse)

gboolean failover_cancel(struct failovers *failovers, const char *who, gint64 job, GError **error)
{
    (void)failovers, (void)who, (void)job;
    return unsupported(error);
}

gboolean failover_is_kind(const char *kind)
{
    (void)kind;
    return FALSE;
}

JsonObject *failover_to_json(struct failovers *failovers, const struct state_failover *failover,
                             GError **error)
{
    (void)failovers, (void)failover;
    unsupported(error);
    return NULL;
}

char *failover_screenshot(struct failovers *failovers, const struct state_failover *failover,
                          GError **error)
{
    (void)failovers, (void)failover;
    unsupported(error);
    return NULL;
}

gboolean failover_rehearse(struct failovers *failovers, const char *who, gint64 machine,
                           JsonObject *plan, GError **error)
{
    (void)failovers, (void)who, (void)machine, (void)plan;
    return unsupported(error);
}

JsonObject *failover_rehearsal(struct failovers *failovers, gint64 machine, GError **error)
{
    (void)failovers, (void)machine;
    unsupported(error);
    return NULL;
}

gboolean failover_rehearse_no_more(struct failovers *failovers, const char *who, gint64 machine,
                                   GError **error)
{
    (void)failovers, (void)who, (void)machine;
    return unsupported(error);
}
