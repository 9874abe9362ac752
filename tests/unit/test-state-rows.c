/* SPDX-License-Identifier: Apache-2.0 */

/* appliance/state: hosts, machines, stores, replications, settings and the audit, row by row. */

#include "appliance/state/audit.h"
#include "appliance/state/hosts.h"
#include "appliance/state/machines.h"
#include "appliance/state/replications.h"
#include "appliance/state/secrets.h"
#include "appliance/state/settings.h"
#include "appliance/state/stores.h"
#include "tests/unit/state-folder.h"

#define UUID "5c4d1f9e-0001-4000-8000-000000000001"

static void add_host(struct rig *rig, const char *name)
{
    g_assert_true(state_host_add(rig->state, "root", name, "qemu:///system", "both", &rig->error));
}

/* The number of the machine. */
static gint64 see_machine(struct rig *rig, const char *host, const char *uuid, gint64 at_us,
                          gboolean *ret_fresh)
{
    gboolean fresh;
    struct state_machine machine = {.host = (char *)host,
                                    .uuid = (char *)uuid,
                                    .name = (char *)"web",
                                    .power = (char *)"running",
                                    .seen_us = at_us};
    g_assert_true(state_machine_found(rig->state, &machine, &fresh, &rig->error));
    g_assert_cmpint(machine.id, >, 0);
    if (ret_fresh)
        *ret_fresh = fresh;
    return machine.id;
}

static void add_store(struct rig *rig, const char *name, const char *path)
{
    g_assert_true(state_store_add(rig->state, "root", name, path, &rig->error));
}

static void replicate(struct rig *rig, gint64 machine, const char *store)
{
    struct state_replication replication = {
        .machine = machine, .store = (char *)store, .state = (char *)"initial-replication"};
    g_assert_true(state_replication_add(rig->state, "root", &replication, NULL, &rig->error));
}

/* The last thing that the audit has heard. */
static void assert_noted(struct rig *rig, const char *who, const char *action, const char *object)
{
    g_autoptr(GPtrArray) entries = state_audit_list(rig->state, 0, 1, &rig->error);
    g_assert_cmpuint(entries->len, ==, 1);
    const struct state_audit_entry *entry = g_ptr_array_index(entries, 0);
    g_assert_cmpstr(entry->who, ==, who);
    g_assert_cmpstr(entry->action, ==, action);
    g_assert_cmpstr(entry->object, ==, object);
}

static void test_hosts(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    g_assert_true(state_host_add(state, "ann", "beta", "qemu+ssh://b/system", "source", error));
    assert_noted(rig, "ann", "host.add", "host/beta");
    add_host(rig, "alpha");
    assert_refused(state_host_add(state, "root", "beta", "x", "both", error), error,
                   LANDFALL_ERROR_CONFLICT);
    assert_refused(state_host_add(state, "root", "Beta", "x", "both", error), error,
                   LANDFALL_ERROR_CONFIG);
    assert_refused(state_host_add(state, "root", "gamma", "x", "all", error), error,
                   LANDFALL_ERROR_CONFIG);
    g_autoptr(GPtrArray) hosts = state_host_list(state, error);
    g_assert_cmpuint(hosts->len, ==, 2);
    const struct state_host *first = g_ptr_array_index(hosts, 0);
    g_assert_cmpstr(first->name, ==, "alpha");
    g_assert_cmpstr(first->status, ==, "unknown");

    g_assert_true(state_host_change(state, "bob", "beta", NULL, "target", error));
    assert_noted(rig, "bob", "host.change", "host/beta");
    struct state_host *host = state_host_get(state, "beta", error);
    g_assert_cmpstr(host->uri, ==, "qemu+ssh://b/system");
    g_assert_cmpstr(host->role, ==, "target");
    state_host_free(host);
    assert_refused(state_host_change(state, "bob", "beta", "x", "none", error), error,
                   LANDFALL_ERROR_CONFIG);
    assert_refused(state_host_change(state, "bob", "none", "x", NULL, error), error,
                   LANDFALL_ERROR_MISSING);
    assert_refused(state_host_get(state, "none", error) != NULL, error, LANDFALL_ERROR_MISSING);
    assert_refused(state_host_remove(state, "bob", "none", error), error, LANDFALL_ERROR_MISSING);
}

static void test_host_found(struct rig *rig, gconstpointer data)
{
    (void)data;
    add_host(rig, "alpha");
    g_autoptr(JsonObject) facts = json_object_new();
    json_object_set_int_member(facts, "cpus", 4);
    struct state_host found = {
        .name = (char *)"alpha", .status = (char *)"connected", .seen_us = 5, .facts = facts};
    g_assert_true(state_host_found(rig->state, &found, &rig->error));
    struct state_host lost = {.name = (char *)"alpha",
                              .status = (char *)"lost",
                              .status_detail = (char *)"no route",
                              .hint = (char *)"start it"};
    g_assert_true(state_host_found(rig->state, &lost, &rig->error));
    struct state_host *host = state_host_get(rig->state, "alpha", &rig->error);
    g_assert_cmpstr(host->status, ==, "lost");
    g_assert_cmpstr(host->hint, ==, "start it");
    g_assert_cmpint(host->seen_us, ==, 5); /* what was known stays */
    g_assert_cmpint(json_object_get_int_member(host->facts, "cpus"), ==, 4);
    state_host_free(host);
    lost.name = (char *)"none";
    assert_refused(state_host_found(rig->state, &lost, &rig->error), &rig->error,
                   LANDFALL_ERROR_MISSING);
}

static void test_host_remove(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    g_autoptr(GBytes) secret = NULL;
    add_host(rig, "alpha");
    add_host(rig, "alpha2");
    add_store(rig, "main", "/srv/store");
    gint64 id = see_machine(rig, "alpha", UUID, 1, NULL);
    g_assert_true(state_secret_set(state, "root", "host/alpha", "password", "x", 1, error));
    g_assert_true(state_secret_set(state, "root", "host/alpha2", "password", "y", 1, error));
    replicate(rig, id, "main");
    assert_refused(state_host_remove(state, "root", "alpha", error), error,
                   LANDFALL_ERROR_CONFLICT);
    g_assert_true(state_replication_remove(state, NULL, id, NULL, error));
    g_assert_true(state_host_remove(state, "root", "alpha", error));
    assert_noted(rig, "root", "host.remove", "host/alpha");
    g_assert_cmpint(number(state, "SELECT count(*) FROM machine"), ==, 0);
    g_assert_cmpint(number(state, "SELECT count(*) FROM secret"), ==, 1);
    g_assert_true(state_secret_get(state, "host/alpha2", "password", &secret, error));
    g_assert_nonnull(secret);
    /* The number is not given to another. */
    gint64 other = see_machine(rig, "alpha2", UUID, 2, NULL);
    g_assert_cmpint(other, >, id);
}

static void test_machines(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    gboolean fresh;
    add_host(rig, "alpha");
    add_host(rig, "beta");
    gint64 id = see_machine(rig, "alpha", UUID, 10, &fresh);
    g_assert_true(fresh);
    g_assert_cmpint(see_machine(rig, "alpha", UUID, 20, &fresh), ==, id);
    g_assert_false(fresh);
    gint64 twin = see_machine(rig, "beta", UUID, 30, &fresh);
    g_assert_cmpint(twin, !=, id);

    g_assert_true(state_machine_gone(state, id, 40, error));
    g_assert_true(state_machine_gone(state, id, 50, error));
    struct state_machine *machine = state_machine_get(state, id, error);
    g_assert_cmpint(machine->gone_us, ==, 40);
    g_assert_cmpint(machine->first_seen_us, ==, 10);
    g_assert_cmpint(machine->seen_us, ==, 20);
    state_machine_free(machine);
    g_assert_cmpint(see_machine(rig, "alpha", UUID, 60, &fresh), ==, id);
    g_assert_true(fresh); /* it is back */
    machine = state_machine_get(state, id, error);
    g_assert_cmpint(machine->gone_us, ==, 0);
    state_machine_free(machine);

    g_autoptr(GPtrArray) all = state_machine_list(state, NULL, NULL, error);
    g_assert_cmpuint(all->len, ==, 2);
    g_autoptr(GPtrArray) on_beta = state_machine_list(state, "beta", "web", error);
    g_assert_cmpuint(on_beta->len, ==, 1);
    g_autoptr(GPtrArray) none = state_machine_list(state, "beta", "db", error);
    g_assert_cmpuint(none->len, ==, 0);

    /* Page by page, also when one is called otherwise meanwhile. */
    g_autoptr(GPtrArray) page = state_machine_page(state, NULL, NULL, 0, 1, error);
    g_assert_cmpuint(page->len, ==, 1);
    g_assert_cmpint(((struct state_machine *)page->pdata[0])->id, ==, MAX(id, twin));
    g_autoptr(GPtrArray) rest = state_machine_page(state, NULL, NULL, MAX(id, twin), 9, error);
    g_assert_cmpuint(rest->len, ==, 1);
    g_assert_cmpint(((struct state_machine *)rest->pdata[0])->id, ==, MIN(id, twin));
    g_autoptr(GPtrArray) there = state_machine_page(state, "beta", "web", 0, 9, error);
    g_assert_cmpuint(there->len, ==, 1);
    assert_refused(state_machine_get(state, 999, error) != NULL, error, LANDFALL_ERROR_MISSING);
    assert_refused(state_machine_gone(state, 999, 1, error), error, LANDFALL_ERROR_MISSING);
}

static void test_machine_forget(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    add_host(rig, "alpha");
    add_store(rig, "main", "/srv/store");
    gint64 here = see_machine(rig, "alpha", "u1", 1, NULL);
    gint64 gone = see_machine(rig, "alpha", "u2", 1, NULL);
    gint64 lately = see_machine(rig, "alpha", "u3", 1, NULL);
    gint64 replicated = see_machine(rig, "alpha", "u4", 1, NULL);
    replicate(rig, replicated, "main");
    g_assert_true(state_machine_gone(state, gone, 10, &rig->error));
    g_assert_true(state_machine_gone(state, lately, 30, &rig->error));
    g_assert_true(state_machine_gone(state, replicated, 10, &rig->error));
    g_assert_true(state_machine_forget(state, 20, &rig->error));
    g_autoptr(GPtrArray) left = state_machine_list(state, NULL, NULL, &rig->error);
    g_assert_cmpuint(left->len, ==, 3);
    for (guint i = 0; i < left->len; i++) {
        const struct state_machine *machine = g_ptr_array_index(left, i);
        g_assert_true(machine->id == here || machine->id == lately || machine->id == replicated);
    }
}

static void test_machine_move(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    add_host(rig, "alpha");
    add_host(rig, "beta");
    add_store(rig, "main", "/srv/store");
    gint64 id = see_machine(rig, "alpha", UUID, 1, NULL);
    replicate(rig, id, "main");
    g_assert_true(state_machine_gone(state, id, 5, error));
    gint64 twin = see_machine(rig, "beta", UUID, 6, NULL);
    g_assert_true(state_machine_move(state, "inventory", id, "beta", error));
    struct state_machine *machine = state_machine_get(state, id, error);
    g_assert_cmpstr(machine->host, ==, "beta");
    g_assert_cmpint(machine->gone_us, ==, 0);
    state_machine_free(machine);
    assert_refused(state_machine_get(state, twin, error) != NULL, error, LANDFALL_ERROR_MISSING);
    g_assert_cmpint(number(state, "SELECT count(*) FROM replication"), ==, 1);

    /* Back again, but there is one under that number that is replicated, too. */
    gint64 other = see_machine(rig, "alpha", UUID, 7, NULL);
    replicate(rig, other, "main");
    assert_refused(state_machine_move(state, "inventory", id, "alpha", error), error,
                   LANDFALL_ERROR_CONFLICT);
    assert_refused(state_machine_move(state, "inventory", 999, "alpha", error), error,
                   LANDFALL_ERROR_MISSING);
    g_assert_cmpint(number(state, "SELECT count(*) FROM machine"), ==, 2);
}

static void test_stores(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    add_store(rig, "main", "/srv//store/../store/");
    assert_noted(rig, "root", "store.add", "store/main");
    struct state_store *store = state_store_get(state, "main", error);
    g_assert_cmpstr(store->path, ==, "/srv/store");
    g_assert_cmpstr(store->kind, ==, "local");
    state_store_free(store);
    assert_refused(state_store_add(state, "root", "main", "/srv/b", error), error,
                   LANDFALL_ERROR_CONFLICT);
    assert_refused(state_store_add(state, "root", "other", "/srv/./store", error), error,
                   LANDFALL_ERROR_CONFLICT);
    assert_refused(state_store_add(state, "root", "other", "srv/store", error), error,
                   LANDFALL_ERROR_CONFIG);
    assert_refused(state_store_add(state, "root", "o/r", "/srv/b", error), error,
                   LANDFALL_ERROR_CONFIG);
    add_host(rig, "alpha");
    gint64 id = see_machine(rig, "alpha", UUID, 1, NULL);
    replicate(rig, id, "main");
    assert_refused(state_store_remove(state, "root", "main", error), error,
                   LANDFALL_ERROR_CONFLICT);
    g_assert_true(state_replication_remove(state, "root", id, NULL, error));
    g_assert_true(state_store_remove(state, "root", "main", error));
    assert_noted(rig, "root", "store.remove", "store/main");
    assert_refused(state_store_remove(state, "root", "main", error), error, LANDFALL_ERROR_MISSING);
    g_autoptr(GPtrArray) stores = state_store_list(state, error);
    g_assert_cmpuint(stores->len, ==, 0);
}

static void test_replications(struct rig *rig, gconstpointer data)
{
    (void)data;
    struct state *state = rig->state;
    GError **error = &rig->error;
    add_host(rig, "alpha");
    add_store(rig, "main", "/srv/store");
    gint64 id = see_machine(rig, "alpha", UUID, 1, NULL);
    struct state_replication wrong = {
        .machine = 999, .store = (char *)"main", .state = (char *)"replicating"};
    assert_refused(state_replication_add(state, "root", &wrong, NULL, error), error,
                   LANDFALL_ERROR_MISSING);
    wrong.machine = id;
    wrong.store = (char *)"none";
    assert_refused(state_replication_add(state, "root", &wrong, NULL, error), error,
                   LANDFALL_ERROR_MISSING);
    replicate(rig, id, "main");
    assert_noted(rig, "root", "replication.add", "machine/1");
    wrong.store = (char *)"main";
    assert_refused(state_replication_add(state, "root", &wrong, NULL, error), error,
                   LANDFALL_ERROR_CONFLICT);

    struct state_replication *replication = state_replication_get(state, id, error);
    g_assert_cmpint(replication->created_us, >, 0);
    replication->interval_s = 60;
    replication->last_point = 3; /* not what the operator sets: not saved with it */
    replication->blackout = json_array_new();
    json_array_add_string_element(replication->blackout, "Mon 08:00-18:00");
    g_assert_true(
        state_replication_change(state, "ann", "replication.change", replication, NULL, error));
    assert_noted(rig, "ann", "replication.change", "machine/1");
    state_replication_free(replication);

    replication = state_replication_get(state, id, error);
    g_assert_cmpint(replication->interval_s, ==, 60);
    g_assert_cmpint(replication->last_point, ==, 0);
    g_assert_cmpuint(json_array_get_length(replication->blackout), ==, 1);
    replication->interval_s = 120; /* nor this with progress */
    replication->last_point = 4;
    replication->paused = TRUE;
    replication->ever_committed = TRUE;
    replication->error = json_object_new();
    json_object_set_string_member(replication->error, "code", "source");
    g_assert_true(state_replication_progress(state, replication, error));
    assert_noted(rig, "ann", "replication.change", "machine/1");
    state_replication_free(replication);

    g_autoptr(GPtrArray) all = state_replication_list(state, error);
    g_assert_cmpuint(all->len, ==, 1);
    replication = g_ptr_array_index(all, 0);
    g_assert_cmpint(replication->interval_s, ==, 60);
    g_assert_cmpint(replication->last_point, ==, 4);
    g_assert_true(replication->paused);
    g_assert_true(replication->ever_committed);
    g_assert_cmpstr(json_object_get_string_member(replication->error, "code"), ==, "source");

    g_assert_true(state_replication_remove(state, "bob", id, NULL, error));
    assert_noted(rig, "bob", "replication.remove", "machine/1");
    assert_refused(state_replication_get(state, id, error) != NULL, error, LANDFALL_ERROR_MISSING);
    assert_refused(state_replication_remove(state, "bob", id, NULL, error), error,
                   LANDFALL_ERROR_MISSING);
}

static gboolean change_setting(struct rig *rig, const char *json)
{
    g_autoptr(JsonNode) node = json_from_string(json, NULL);
    return state_setting_change(rig->state, "root", json_node_get_object(node), &rig->error);
}

static gint64 get_setting(struct rig *rig, const char *name)
{
    gint64 value = -1;
    g_assert_true(state_setting_int(rig->state, name, &value, &rig->error));
    return value;
}

static void test_settings(struct rig *rig, gconstpointer data)
{
    (void)data;
    static const char *const wrong[] = {
        "{\"cycles_max\": 0}",    "{\"cycles_max\": \"4\"}", "{\"cycles_max\": 4.5}",
        "{\"cycles_max\": true}", "{\"cycles_max\": [1]}",   "{\"alert_webhook\": 1}",
        "{\"no_such\": 1}",       "{\"interval_s\": -1}",    "{\"cycles_max\": 99999999999}"};
    gint64 fallback = get_setting(rig, "cycles_max");
    g_assert_true(change_setting(rig, "{\"cycles_max\": 9, \"alert_webhook\": \"https://a\"}"));
    assert_noted(rig, "root", "setting.change", "setting");
    g_assert_cmpint(get_setting(rig, "cycles_max"), ==, 9);
    g_autofree char *url = NULL;
    g_assert_true(state_setting_text(rig->state, "alert_webhook", &url, &rig->error));
    g_assert_cmpstr(url, ==, "https://a");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_refused(change_setting(rig, wrong[i]), &rig->error, LANDFALL_ERROR_CONFIG);

    /* All or nothing, whichever comes first. */
    assert_refused(change_setting(rig, "{\"cycles_max\": 5, \"retain\": -1}"), &rig->error,
                   LANDFALL_ERROR_CONFIG);
    g_assert_cmpint(get_setting(rig, "cycles_max"), ==, 9);
    g_assert_true(change_setting(rig, "{\"cycles_max\": null}"));
    g_assert_cmpint(get_setting(rig, "cycles_max"), ==, fallback);
    run_sql(rig->state, "INSERT INTO setting VALUES ('of_another_version', '1')");
    g_autoptr(JsonObject) all = state_setting_list(rig->state, &rig->error);
    g_assert_false(json_object_has_member(all, "of_another_version"));
    g_assert_cmpint(json_object_get_int_member(all, "cycles_max"), ==, fallback);
    g_assert_cmpstr(json_object_get_string_member(all, "alert_webhook"), ==, "https://a");
}

static void test_audit(struct rig *rig, gconstpointer data)
{
    (void)data;
    for (unsigned i = 1; i <= 7; i++)
        g_assert_true(state_audit(rig->state, "root", "test", "x", NULL, &rig->error));
    g_autoptr(GPtrArray) first = state_audit_list(rig->state, 0, 3, &rig->error);
    g_assert_cmpuint(first->len, ==, 3);
    const struct state_audit_entry *last = g_ptr_array_index(first, 2);
    g_assert_cmpint(last->id, ==, 5);
    g_autoptr(GPtrArray) next = state_audit_list(rig->state, last->id, 10, &rig->error);
    g_assert_cmpuint(next->len, ==, 4);
    g_assert_cmpint(((struct state_audit_entry *)g_ptr_array_index(next, 0))->id, ==, 4);
    /* It does not grow for ever. */
    run_sql(rig->state, "UPDATE audit SET id = id + 100000 - 3 WHERE id > 3");
    g_assert_true(state_audit(rig->state, "root", "test", "x", NULL, &rig->error));
    g_assert_cmpint(number(rig->state, "SELECT count(*) FROM audit"), ==, 5);
    g_assert_cmpint(number(rig->state, "SELECT min(id) FROM audit"), ==, STATE_AUDIT_KEPT + 1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(struct rig *rig, gconstpointer data);
    } tests[] = {
        {"/rows/hosts", test_hosts},
        {"/rows/hosts: what was found", test_host_found},
        {"/rows/hosts: removal", test_host_remove},
        {"/rows/machines", test_machines},
        {"/rows/machines: forgotten", test_machine_forget},
        {"/rows/machines: moved", test_machine_move},
        {"/rows/stores", test_stores},
        {"/rows/replications", test_replications},
        {"/rows/settings", test_settings},
        {"/rows/audit", test_audit},
    };
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, struct rig, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
