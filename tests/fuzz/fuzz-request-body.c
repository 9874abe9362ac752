/* SPDX-License-Identifier: Apache-2.0 */

/* Bodies of requests: as settings of a replication, and as settings of the appliance. What is taken
 * comes out as JSON that is taken again and means the same; what is not leaves everything as it
 * was. */

#include "appliance/jobs/replication-json.h"
#include "appliance/jobs/scheduler-private.h"
#include "appliance/state/settings.h"
#include "appliance/state/stores.h"
#include "base/json.h"
#include "tests/unit/temp-folder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static char *folder;
static struct state *state;

static void forget(void)
{
    state_free(state);
    temp_folder_free(folder);
}

static void begin(void)
{
    g_autoptr(GError) error = NULL;
    folder = temp_folder_new();
    state = state_open(folder, NULL, &error);
    g_assert_no_error(error);
    state_store_add(state, "fuzz", "main", "/nowhere", &error);
    g_assert_no_error(error);
    atexit(forget);
}

/* The settings alone, as a request would give them. */
static JsonObject *settings_of(const struct state_replication *replication)
{
    static const char *const names[] = {"store",     "interval_s", "retain",      "exclude_disks",
                                        "bandwidth", "blackout",   "consistency", "priority"};
    g_autoptr(JsonObject) all = replication_to_json(replication);
    JsonObject *settings = json_object_new();
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (json_object_has_member(all, names[i]))
            json_object_set_member(settings, names[i], json_object_dup_member(all, names[i]));
    return settings;
}

static char *apply(JsonObject *settings, const struct scheduler_settings *bounds, GError **error)
{
    struct state_replication *replication = state_replication_new();
    char *text = NULL;
    replication->state = g_strdup("replicating");
    if (replication_settings_apply(replication, settings, TRUE, state, bounds, error)) {
        g_autoptr(JsonObject) object = settings_of(replication);
        text = json_object_to_text(object, FALSE);
    }
    state_replication_free(replication);
    return text;
}

static void try_replication(JsonObject *body, const struct scheduler_settings *bounds)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = apply(body, bounds, &error);
    g_assert_true(!text == !!error);
    if (!text)
        return;
    g_autoptr(JsonObject) again =
        json_parse_object(text, strlen(text), "settings", LANDFALL_ERROR_CONFIG, &error);
    g_assert_no_error(error);
    g_autofree char *text_again = apply(again, bounds, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, text_again);
}

static char *settings_text(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) settings = state_setting_list(state, &error);
    g_assert_no_error(error);
    return json_object_to_text(settings, FALSE);
}

/* As a request changes them, and taken back. */
static void try_appliance(JsonObject *body)
{
    struct scheduler_settings settings = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *before = settings_text();
    g_assert_true(state_begin(state, &error));
    gboolean ok = state_setting_change(state, "fuzz", body, &error);
    g_assert_true(ok == !error);
    if (ok && scheduler_settings_load(&settings, state, &error))
        scheduler_settings_clear(&settings);
    state_end(state, FALSE, NULL);
    g_autofree char *after = settings_text();
    g_assert_cmpstr(before, ==, after);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    struct scheduler_settings bounds = {0};
    g_autoptr(GError) error = NULL;
    if (!state)
        begin();
    g_autoptr(JsonObject) body =
        json_parse_object((const char *)data, length, "the body", LANDFALL_ERROR_CONFIG, &error);
    g_assert_true(!body == !!error);
    g_clear_error(&error);
    if (!body)
        return 0;
    g_assert_true(scheduler_settings_load(&bounds, state, &error));
    try_replication(body, &bounds);
    scheduler_settings_clear(&bounds);
    try_appliance(body);
    return 0;
}
