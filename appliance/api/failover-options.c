/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/failover-options.h"
#include "appliance/api/request.h"
#include "appliance/api/route.h"
#include "appliance/jobs/job-json.h"
#include "base/json.h"

#include <string.h>

#define NAME_BYTES_MAX 64u
#define PROBES_MAX 16u
#define YEAR_S (366 * 86400)

enum option_type {
    OPTION_NUMBER,
    OPTION_BOOLEAN,
    OPTION_NAME, /* of a host, a network, a machine: no slash, nothing that moves the cursor */
    OPTION_WORD,
    OPTION_TIME, /* to come */
    OPTION_CLOCK,
    OPTION_PROBES,
    OPTION_TEST, /* the options of a test */
};

struct option {
    const char *name;
    enum option_type type;
    guint64 minimum, maximum; /* of a number */
    const char *words;        /* that it may be */
};

static const struct option options_known[] = {
    {"target", OPTION_NAME},
    {"recovery_point", OPTION_NUMBER, 0, G_MAXINT64},
    {"network", OPTION_NAME},
    {"name_suffix", OPTION_NAME},
    {"memory_mib", OPTION_NUMBER, 1, 64u * 1024 * 1024},
    {"wait_s", OPTION_NUMBER, 1, 7 * 86400},
    {"probes", OPTION_PROBES},
    {"cleanup_after_s", OPTION_NUMBER, 0, YEAR_S},
    {"shutdown", OPTION_BOOLEAN},
    {"network_live", OPTION_BOOLEAN},
    {"shutdown_deadline_s", OPTION_NUMBER, 1, 86400},
    {"on_deadline", OPTION_WORD, .words = "abort force"},
    {"final_pass_s", OPTION_NUMBER, 0, 86400},
    {"max_passes", OPTION_NUMBER, 0, 1000},
    {"verify", OPTION_WORD, .words = "transferred full"},
    {"on_failure", OPTION_WORD, .words = "back stay"},
    {"at", OPTION_TIME},
    {"commit_after_s", OPTION_NUMBER, 0, YEAR_S},
    {"rollback_unless", OPTION_WORD, .words = "confirm probes"},
    {"require_test_days", OPTION_NUMBER, 1, 36500},
    {"test", OPTION_NUMBER, 1, G_MAXINT64},
    {"keep_disks", OPTION_BOOLEAN},
    {"deadline_s", OPTION_NUMBER, 1, 86400},
    {"disks", OPTION_WORD, .words = "merge keep"},
    {"copy_mib_s", OPTION_NUMBER, 0, 1024u * 1024},
    {"abandon", OPTION_BOOLEAN},
    {"abandon_target", OPTION_BOOLEAN},
    {"interval_days", OPTION_NUMBER, 1, 366},
    {"weekday", OPTION_NUMBER, 0, 6},
    {"time", OPTION_CLOCK},
    {"options", OPTION_TEST},
};

/* Those of a probe; which ones it needs follows from its kind. */
static const struct option probe_options[] = {
    {"kind", OPTION_WORD, .words = "power agent console tcp http"},
    {"port", OPTION_NUMBER, 1, 65535},
    {"address", OPTION_NAME},
    {"status", OPTION_NUMBER, 100, 599},
    {"seconds", OPTION_NUMBER, 1, 86400},
};

static gboolean refuse(GError **error, const char *name, const char *what)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "member '%.64s' takes %s", name, what);
    return FALSE;
}

/* --- values -------------------------------------------------------------------------------------
 */

static gboolean check_number(const struct option *option, JsonObject *options, GError **error)
{
    guint64 value = option->minimum;
    g_autofree char *range =
        g_strdup_printf("a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                        option->minimum, option->maximum);
    if (json_optional_uint(options, option->name, LANDFALL_ERROR_CONFIG, &value, NULL) &&
        value >= option->minimum && value <= option->maximum)
        return TRUE;
    return refuse(error, option->name, range);
}

static gboolean is_name(const char *text)
{
    for (const char *byte = text; *byte; byte++)
        if (g_ascii_iscntrl(*byte) || *byte == '/')
            return FALSE;
    return *text && strlen(text) <= NAME_BYTES_MAX;
}

static gboolean is_clock(const char *text)
{
    return strlen(text) == 5 && text[2] == ':' && g_ascii_isdigit(text[0]) &&
           g_ascii_isdigit(text[1]) && g_ascii_isdigit(text[3]) && g_ascii_isdigit(text[4]) &&
           strncmp(text, "24", 2) < 0 && text[3] < '6';
}

static gboolean check_text(const struct option *option, JsonObject *options, GError **error)
{
    const char *text = NULL;
    if (!json_optional_string(options, option->name, LANDFALL_ERROR_CONFIG, &text, error))
        return FALSE;
    if (!text)
        return TRUE;
    if (option->type == OPTION_NAME && !is_name(text))
        return refuse(error, option->name, "a name without slashes");
    if (option->type == OPTION_CLOCK && !is_clock(text))
        return refuse(error, option->name, "a time of the day, such as 03:00");
    if (option->type == OPTION_TIME && job_parse_time(text) <= g_get_real_time())
        return refuse(error, option->name, "a time to come, such as 2030-01-31T22:00:00Z");
    if (option->type == OPTION_WORD && !route_words_have(option->words, text)) {
        g_auto(GStrv) words = g_strsplit(option->words, " ", -1);
        g_autofree char *one = g_strjoinv(" or ", words);
        return refuse(error, option->name, one);
    }
    return TRUE;
}

/* --- probes -------------------------------------------------------------------------------------
 */

static gboolean check_value(const struct option *option, JsonObject *options, GError **error);

/* A probe's text, which has to be there. */
static const char *probe_text(JsonObject *probe, const char *name, GError **error)
{
    const char *text = NULL;
    if (json_member_string(probe, name, LANDFALL_ERROR_CONFIG, &text, error) && *text)
        return text;
    if (text)
        refuse(error, name, "some text");
    return NULL;
}

static gboolean check_pattern(JsonObject *probe, GError **error)
{
    g_autoptr(GError) wrong = NULL;
    const char *pattern = probe_text(probe, "pattern", error);
    g_autoptr(GRegex) regex = pattern ? g_regex_new(pattern, 0, 0, &wrong) : NULL;
    if (pattern && !regex)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "the pattern of a probe: %s",
                           wrong->message);
    return regex != NULL;
}

static gboolean check_url(JsonObject *probe, GError **error)
{
    const char *text = probe_text(probe, "url", error);
    if (!text)
        return FALSE;
    return request_is_http_url(text) ||
           refuse(error, "url", "a URL that begins with http:// or https://");
}

/* What it may have beside its kind; a word more is one that would be overlooked. */
static const char *members_of(const char *kind)
{
    if (strcmp(kind, "power") == 0)
        return "kind seconds";
    if (strcmp(kind, "console") == 0)
        return "kind pattern";
    if (strcmp(kind, "tcp") == 0)
        return "kind port address";
    return strcmp(kind, "http") == 0 ? "kind url status" : "kind";
}

static gboolean check_probe(JsonObject *probe, GError **error)
{
    guint64 port = 0;
    const char *kind = probe_text(probe, "kind", error);
    if (!kind || !check_value(&probe_options[0], probe, error))
        return FALSE;
    g_autoptr(GList) members = json_object_get_members(probe);
    for (const GList *member = members; member; member = member->next) {
        if (route_words_have(members_of(kind), member->data))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "a probe '%s' has no member '%.64s'",
                           kind, (const char *)member->data);
        return FALSE;
    }
    for (gsize i = 1; i < G_N_ELEMENTS(probe_options); i++)
        if (!check_value(&probe_options[i], probe, error))
            return FALSE;
    if (strcmp(kind, "console") == 0)
        return check_pattern(probe, error);
    if (strcmp(kind, "http") == 0)
        return check_url(probe, error);
    return strcmp(kind, "tcp") != 0 ||
           json_member_uint(probe, "port", LANDFALL_ERROR_CONFIG, &port, error);
}

static gboolean check_probes(JsonNode *node, GError **error)
{
    JsonArray *probes = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    guint count = probes ? json_array_get_length(probes) : G_MAXUINT;
    if (count > PROBES_MAX)
        return refuse(error, "probes", "an array of at most 16 probes");
    for (guint i = 0; i < count; i++) {
        JsonObject *probe;
        if (!json_element_object(probes, i, "probes", LANDFALL_ERROR_CONFIG, &probe, error) ||
            !check_probe(probe, error))
            return FALSE;
    }
    return TRUE;
}

/* --- options ------------------------------------------------------------------------------------
 */

/* Of a rehearsal: what the table of routes does not see. */
static gboolean check_test(const char *name, JsonNode *node, GError **error)
{
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return refuse(error, name, "an object: the options of a test");
    JsonObject *options = json_node_get_object(node);
    g_autoptr(GList) members = json_object_get_members(options);
    for (const GList *member = members; member; member = member->next) {
        if (route_words_have(FAILOVER_TEST_OPTIONS, member->data))
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "a test has no option '%.64s'",
                           (const char *)member->data);
        return FALSE;
    }
    return failover_options_check(options, error);
}

static gboolean check_value(const struct option *option, JsonObject *options, GError **error)
{
    JsonNode *node = json_object_get_member(options, option->name);
    gboolean value;
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    switch (option->type) {
    case OPTION_NUMBER:
        return check_number(option, options, error);
    case OPTION_BOOLEAN:
        return json_optional_boolean(options, option->name, LANDFALL_ERROR_CONFIG, &value, error);
    case OPTION_PROBES:
        return check_probes(node, error);
    case OPTION_TEST:
        return check_test(option->name, node, error);
    default:
        return check_text(option, options, error);
    }
}

gboolean failover_options_check(JsonObject *options, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(options_known); i++)
        if (!check_value(&options_known[i], options, error))
            return FALSE;
    return TRUE;
}
