/* SPDX-License-Identifier: Apache-2.0 */

/* plan: what a move would do, with nothing done.
 *
 *   plan → the members of preflight, and
 *     { "domain_name": TEXT, "domain_uuid": UUID, "changes": [ { "what": TEXT, "from"?: TEXT,
 * "to"?: TEXT, "why": TEXT, "level": TEXT } … ], "source_xml": TEXT, "xml": TEXT, "diff": TEXT,
 *       "downtime": see downtime.h, "fenced": [ TEXT … ] }
 *
 * Those from domain_name to diff are missing when there is nothing to translate, or nobody to
 * translate for. */

#include "appliance/steps/downtime.h"
#include "appliance/steps/preflight.h"
#include "appliance/steps/steps.h"
#include "base/error.h"
#include "snapshot/xml.h"

#include <gio/gio.h>
#include <glib/gstdio.h>

/* A definition as text that can be compared line by line: each is indented in the same way. */
static gboolean write_definition(const char *folder, const char *name, const char *xml,
                                 GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(xmlDoc) document = snapshot_xml_parse(xml, "the definition", error);
    if (!document)
        return FALSE;
    g_autofree char *text = snapshot_xml_text(document);
    return g_file_set_contents(path, text, -1, error);
}

static char *run_diff(const char *folder, GError **error)
{
    char *output = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_subprocess_launcher_set_cwd(launcher, folder);
    g_autoptr(GSubprocess) diff =
        g_subprocess_launcher_spawn(launcher, error, "diff", "-u", "--label", "source", "--label",
                                    "target", "source", "target", NULL);
    if (!diff || !g_subprocess_communicate_utf8(diff, NULL, NULL, &output, NULL, error))
        return NULL;
    /* 1 says that they differ. */
    if (!g_subprocess_get_if_exited(diff) || g_subprocess_get_exit_status(diff) > 1) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "install diffutils", "diff has failed");
        g_clear_pointer(&output, g_free);
    }
    return output;
}

static void remove_file(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_unlink(path);
}

static char *compare(const char *source_xml, const char *xml, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("landfall-plan-XXXXXX", error);
    if (!folder)
        return NULL;
    char *diff = write_definition(folder, "source", source_xml, error) &&
                         write_definition(folder, "target", xml, error)
                     ? run_diff(folder, error)
                     : NULL;
    remove_file(folder, "source");
    remove_file(folder, "target");
    g_rmdir(folder);
    return diff;
}

static gboolean add_translation(JsonObject *plan, const struct preflight *preflight, GError **error)
{
    const struct translation *translation = preflight->translation;
    if (!translation)
        return TRUE;
    g_autofree char *source_xml = translate_work_source(preflight->work, error);
    g_autofree char *diff = source_xml ? compare(source_xml, translation->xml, error) : NULL;
    if (!diff)
        return FALSE;
    json_object_set_string_member(plan, "domain_name", translation->name);
    json_object_set_string_member(plan, "domain_uuid", translation->uuid);
    json_object_set_array_member(plan, "changes", json_array_ref(translation->changes));
    json_object_set_string_member(plan, "source_xml", source_xml);
    json_object_set_string_member(plan, "xml", translation->xml);
    json_object_set_string_member(plan, "diff", diff);
    return TRUE;
}

static void add_sentence(JsonArray *sentences, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void add_sentence(JsonArray *sentences, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    json_array_add_string_element(sentences, text);
}

/* What happens to the source so that the machine does not run twice. */
static void add_fenced(JsonObject *plan, const struct preflight *preflight)
{
    const struct step_work *work = preflight->work;
    JsonArray *sentences = json_array_new();
    const char *name = work->machine_name ? work->machine_name : work->machine_uuid;
    const char *host = work->source_host ? work->source_host : work->source_uri;
    if (preflight_shuts_down(preflight)) {
        add_sentence(sentences, "%s is shut down on host %s", name, host);
        add_sentence(sentences, "its autostart there is switched off");
        add_sentence(
            sentences,
            "its definition there says that it has moved, to people and to Landfall, which "
            "neither starts nor replicates it until it is rolled back");
    }
    json_object_set_array_member(plan, "fenced", sentences);
}

JsonObject *step_plan(const struct step_run *run, GError **error)
{
    struct preflight preflight;
    preflight_run(&preflight, run->work);
    JsonObject *plan = checks_to_json(&preflight.checks);
    if (add_translation(plan, &preflight, error)) {
        json_object_set_object_member(plan, "downtime",
                                      downtime_expect(run->work, preflight_disk_bytes(&preflight)));
        add_fenced(plan, &preflight);
    } else {
        g_clear_pointer(&plan, json_object_unref);
    }
    preflight_clear(&preflight);
    return plan;
}
