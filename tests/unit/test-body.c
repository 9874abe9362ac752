/* SPDX-License-Identifier: Apache-2.0 */

/* Options as members of a body: what is said is what the daemon gets, and what cannot be understood
 * never gets there. */

#include "appliance/cli/body.h"
#include "base/json.h"

static void check(JsonObject *body, const char *expected)
{
    g_autofree char *text = json_object_to_text(body, FALSE);
    g_assert_cmpstr(text, ==, expected);
}

static void test_probes(void)
{
    const char *given[] = {"power",
                           "agent",
                           "console=login: *=$",
                           "tcp=22",
                           "tcp=10.0.0.5:80",
                           "tcp=[::1]:80",
                           "http=http://a/?b=c",
                           "{\"kind\":\"http\",\"url\":\"http://a/\",\"status\":401}",
                           NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) body = json_object_new();
    g_assert_true(body_set_probes(body, NULL, &error));
    check(body, "{}");
    g_assert_true(body_set_probes(body, (char **)given, &error));
    g_assert_no_error(error);
    check(body, "{\"probes\":[{\"kind\":\"power\"},{\"kind\":\"agent\"},"
                "{\"kind\":\"console\",\"pattern\":\"login: *=$\"},{\"kind\":\"tcp\",\"port\":22},"
                "{\"kind\":\"tcp\",\"port\":80,\"address\":\"10.0.0.5\"},"
                "{\"kind\":\"tcp\",\"port\":80,\"address\":\"::1\"},"
                "{\"kind\":\"http\",\"url\":\"http://a/?b=c\"},"
                "{\"kind\":\"http\",\"url\":\"http://a/\",\"status\":401}]}");
}

static void test_no_probes(void)
{
    static const char *const bad[] = {
        "",        "ping",        "power=on", "agent=",  "console",    "console=",
        "tcp",     "tcp=",        "tcp=0",    "tcp=:22", "tcp=65536",  "tcp=22 ",
        "tcp=a:",  "http",        "http=",    "{",       "{\"a\"",     "POWER",
        "tcp=ssh", "tcp=a:b:ssh", "=22",      " power",  "tcp=[::1]:", "tcp=[]:1",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *given[] = {"power", bad[i], NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) body = json_object_new();
        g_test_message("'%s'", bad[i]);
        g_assert_false(body_set_probes(body, (char **)given, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
        check(body, "{}");
    }
}

static void test_pairs(void)
{
    const char *given[] = {"br0=lan", "br 1=a=b", NULL};
    const char *none[] = {"none", NULL};
    const char *const bad[] = {"br0", "=lan", "br0=", "", "none="};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) body = json_object_new();
    g_assert_true(body_set_pairs(body, "network", "networks", (char **)given, &error));
    check(body, "{\"networks\":{\"br0\":\"lan\",\"br 1\":\"a=b\"}}");
    g_assert_true(body_set_pairs(body, "network", "networks", (char **)none, &error));
    check(body, "{\"networks\":{}}");
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *one[] = {"a=b", bad[i], NULL};
        g_clear_error(&error);
        g_assert_false(body_set_pairs(body, "network", "networks", (char **)one, &error));
        g_assert_error(error, LANDFALL_ERROR, LANDFALL_ERROR_CONFIG);
        g_assert_true(g_str_has_prefix(error->message, "--network: "));
    }
    check(body, "{\"networks\":{}}");
}

static void test_numbers(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) body = json_object_new();
    g_assert_true(body_set_number(body, "keep", "keep", NULL, 1, "all", &error));
    g_assert_true(body_set_number(body, "retain", "keep", "all", 1, "all", &error));
    g_assert_true(body_set_duration(body, "wait", "wait_s", "1h30m", &error));
    g_assert_true(body_set_mebibytes(body, "memory", "memory_mib", "1.5G", &error));
    check(body, "{\"keep\":0,\"wait_s\":5400,\"memory_mib\":1536}");
    g_assert_false(body_set_number(body, "retain", "keep", "0", 1, "all", &error));
    g_assert_cmpstr(error->message, ==, "--retain: '0' is no number from 1, nor all");
    g_clear_error(&error);
    g_assert_false(body_set_mebibytes(body, "memory", "memory_mib", "512", &error));
    g_clear_error(&error);
    g_assert_false(body_set_duration(body, "wait", "wait_s", "soon", &error));
    g_assert_true(g_str_has_prefix(error->message, "--wait: "));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/body/probes", test_probes);
    g_test_add_func("/body/no-probes", test_no_probes);
    g_test_add_func("/body/pairs", test_pairs);
    g_test_add_func("/body/numbers", test_numbers);
    return g_test_run();
}
