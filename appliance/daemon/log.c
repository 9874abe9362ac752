/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/daemon/log.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    GLogLevelFlags flag;
    const char *name;
} levels[] = {
    {G_LOG_LEVEL_CRITICAL, "error"},  {G_LOG_LEVEL_WARNING, "warning"},
    {G_LOG_LEVEL_MESSAGE, "message"}, {G_LOG_LEVEL_INFO, "info"},
    {G_LOG_LEVEL_DEBUG, "debug"},
};

static GLogLevelFlags least;
static gboolean to_journal;

static const char *level_name(GLogLevelFlags level)
{
    for (gsize i = 0; i < G_N_ELEMENTS(levels); i++)
        if (level & levels[i].flag)
            return levels[i].name;
    return "fatal";
}

static const char *message_of(const GLogField *fields, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (strcmp(fields[i].key, "MESSAGE") == 0 && fields[i].length < 0)
            return fields[i].value;
    return "";
}

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                  gpointer data)
{
    (void)data;
    /* The flags grow as importance falls. */
    if ((level & G_LOG_LEVEL_MASK) > least)
        return G_LOG_WRITER_HANDLED;
    if (to_journal)
        return g_log_writer_journald(level, fields, count, NULL);
    fprintf(stderr, "landfalld: %s: %s\n", level_name(level), message_of(fields, count));
    return G_LOG_WRITER_HANDLED;
}

gboolean log_init(const char *level, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(levels[i].name, level) != 0)
            continue;
        least = levels[i].flag;
        to_journal = g_log_writer_is_journald(STDERR_FILENO);
        g_log_set_writer_func(write_log, NULL, NULL);
        return TRUE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, "use error, warning, message, info or debug",
                       "there is no log level '%s'", level);
    return FALSE;
}
