/* SPDX-License-Identifier: Apache-2.0 */

/* Steps "lease" and "release": that we move the machine is written beside its recovery points, so
 * that another daemon with the same store neither replicates it nor moves it.
 *
 *   takes   store, machine, "lease" (a token), "kind", "operation", "who"
 *   gives   nothing */

#include "appliance/steps/steps.h"
#include "base/error.h"
#include "base/json.h"
#include "replicator/store-lease.h"

static gboolean take(const struct step_work *work, const struct store *store, const char *token,
                     GError **error)
{
    const char *who = "somebody";
    json_optional_string(work->json, "who", LANDFALL_ERROR_CONFIG, &who, NULL);
    g_autofree char *words =
        g_strdup_printf("%s (operation %" G_GUINT64_FORMAT ") of landfalld on %s, by %s",
                        work->kind, work->operation, g_get_host_name(), who);
    const struct store_lease lease = {token, words};
    return store_lease_take(store, work->machine_uuid, &lease, error);
}

static JsonObject *on_lease(const struct step_run *run, gboolean wanted, GError **error)
{
    const struct step_work *work = run->work;
    const char *token;
    if (!json_member_string(work->json, "lease", LANDFALL_ERROR_CONFIG, &token, error))
        return NULL;
    struct store *store = store_open(work->store_path, FALSE, error);
    gboolean ok = store && (wanted ? take(work, store, token, error)
                                   : store_lease_release(store, work->machine_uuid, token, error));
    store_free(store);
    return ok ? json_object_new() : NULL;
}

JsonObject *step_lease(const struct step_run *run, GError **error)
{
    return on_lease(run, TRUE, error);
}

JsonObject *step_release(const struct step_run *run, GError **error)
{
    return on_lease(run, FALSE, error);
}
