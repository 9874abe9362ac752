/* SPDX-License-Identifier: Apache-2.0 */

/* watch: the operation's machine, after its start, until it has shown all signs that were asked
 * for, or the option wait_s has passed, or it has stopped. That it shows none is a verdict and no
 * error.
 *
 *   watch → { "verdict": "passed" | "failed",
 *             "checks": [ { "check": TEXT, "verdict": …, "message": TEXT, "ms": since it runs } …
 * ], "boot_ms": until the last sign but that it stays on, if all were seen, "screenshot": PATH,
 * "console": [ its last lines ] } */

#include "appliance/steps/probe.h"
#include "appliance/steps/screenshot.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "snapshot/xml.h"

#include <string.h>

#define WAIT_S 300
#define LOOK_MS 200
#define CONSOLE_LINES 40u
#define CONSOLE_BYTES 4000u
#define CONSOLE_LOG "console.log"

struct watch {
    const struct step_run *run;
    struct probe_subject subject;
    GPtrArray *probes;
    gint64 deadline_us; /* monotonic */
};

static gint64 elapsed_ms(const struct watch *watch)
{
    return (g_get_real_time() - watch->subject.running_at_us) / 1000;
}

/* --- looking -------------------------------------------------------------------------------------
 */

static void note_complaint(struct watch *watch, struct probe *probe, const char *complaint)
{
    g_free(probe->complaint);
    probe->complaint = g_strdup(complaint);
    probe->ms = elapsed_ms(watch);
}

/* The words for a state that is not running; NULL: it runs. */
static const char *stopped_state(virDomainPtr domain)
{
    int state, reason;
    if (virDomainGetState(domain, &state, &reason, 0) != 0)
        return "it is not there any more";
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
    case VIR_DOMAIN_PMSUSPENDED:
    case VIR_DOMAIN_SHUTDOWN:
        return NULL;
    case VIR_DOMAIN_PAUSED:
        return reason == VIR_DOMAIN_PAUSED_IOERROR ? "it is paused: a disk of it has failed"
                                                   : "it is paused";
    case VIR_DOMAIN_CRASHED:
        return "it has crashed";
    default:
        return reason == VIR_DOMAIN_SHUTOFF_CRASHED || reason == VIR_DOMAIN_SHUTOFF_FAILED
                   ? "its QEMU has crashed"
                   : "it has gone off";
    }
}

/* TRUE when there is something left to wait for. */
static gboolean look(struct watch *watch)
{
    gboolean waiting = FALSE;
    console_read(watch->subject.console);
    for (guint i = 0; i < watch->probes->len; i++) {
        struct probe *probe = watch->probes->pdata[i];
        g_autoptr(GError) cause = NULL;
        if (probe->passed || probe->hopeless)
            continue;
        probe->passed = probe->kind->look(probe, &watch->subject, &cause);
        note_complaint(watch, probe, cause ? cause->message : NULL);
        if (probe->passed)
            step_note(watch->run, "%s: seen after %" G_GINT64_FORMAT " ms", probe->label,
                      probe->ms);
        if (probe->hopeless)
            return FALSE;
        waiting |= !probe->passed;
    }
    return waiting;
}

static gboolean wait(struct watch *watch, GError **error)
{
    struct probe *power = watch->probes->pdata[0];
    for (;;) {
        const char *stopped = stopped_state(watch->subject.domain);
        if (stopped) {
            power->passed = FALSE;
            note_complaint(watch, power, stopped);
            console_read(watch->subject.console);
            return TRUE;
        }
        if (!look(watch) || g_get_monotonic_time() >= watch->deadline_us)
            return TRUE;
        if (!step_wait(watch->run, LOOK_MS, error))
            return FALSE;
    }
}

/* --- evidence ------------------------------------------------------------------------------------
 */

static JsonObject *check_to_json(const struct probe *probe)
{
    JsonObject *check = json_object_new();
    json_object_set_string_member(check, "check", probe->label);
    json_object_set_string_member(check, "verdict", probe->passed ? "passed" : "failed");
    json_set_optional_string(check, "message", probe->complaint);
    json_object_set_int_member(check, "ms", probe->ms);
    return check;
}

/* Its verdict and checks. */
static void add_verdict(const struct watch *watch, JsonObject *result)
{
    JsonArray *checks = json_array_new();
    gboolean passed = TRUE;
    gint64 boot_ms = 0;
    for (guint i = 0; i < watch->probes->len; i++) {
        const struct probe *probe = watch->probes->pdata[i];
        passed &= probe->passed;
        if (i > 0)
            boot_ms = MAX(boot_ms, probe->ms);
        json_array_add_object_element(checks, check_to_json(probe));
    }
    json_object_set_string_member(result, "verdict", passed ? "passed" : "failed");
    json_object_set_array_member(result, "checks", checks);
    if (passed && watch->probes->len > 1)
        json_object_set_int_member(result, "boot_ms", boot_ms);
}

/* Its last lines, as text that can be shown. */
static void add_console(const struct watch *watch, JsonObject *result)
{
    const GString *all = console_text(watch->subject.console);
    gsize from = all->len > CONSOLE_BYTES ? all->len - CONSOLE_BYTES : 0;
    g_autofree char *text = g_utf8_make_valid(all->str + from, (gssize)(all->len - from));
    g_auto(GStrv) lines = g_strsplit_set(g_strstrip(g_strdelimit(text, "\r\x1b", ' ')), "\n", -1);
    guint count = g_strv_length(lines);
    JsonArray *array = json_array_new();
    for (guint i = count > CONSOLE_LINES ? count - CONSOLE_LINES : 0; i < count; i++)
        json_array_add_string_element(array, g_strchomp(lines[i]));
    json_object_set_array_member(result, "console", array);
}

static void add_screenshot(const struct watch *watch, JsonObject *result)
{
    const char *path = watch->run->work->evidence;
    g_autoptr(GError) cause = NULL;
    gboolean taken = FALSE;
    if (!path || stopped_state(watch->subject.domain))
        return;
    if (!screenshot_take(watch->subject.host, watch->subject.domain, path, &taken, &cause))
        step_warn(watch->run, "there is no screenshot: %s", cause->message);
    else if (taken)
        json_object_set_string_member(result, "screenshot", path);
}

/* --- the step ------------------------------------------------------------------------------------
 */

static void open_console(struct watch *watch)
{
    JsonObject *clone = step_work_fact(watch->run->work, "clone");
    const char *folder = clone ? json_find_string(clone, "folder") : NULL;
    g_autofree char *log = folder ? g_build_filename(folder, CONSOLE_LOG, NULL) : NULL;
    watch->subject.console = console_open(watch->subject.host, watch->subject.domain, log);
    if (console_problem(watch->subject.console))
        step_note(watch->run, "%s", console_problem(watch->subject.console));
}

/* The log is part of the overlay's folder, and the machine may outlive that: from its next start on
 * it does without. */
static void end_log(const struct watch *watch)
{
    static const char logs[] = "/domain/devices/*[self::serial or self::console]/log";
    const struct step_work *work = watch->run->work;
    if (strcmp(work->kind, "test") == 0 || !step_work_keeps_console(work) ||
        step_work_is_home(work))
        return;
    char *text =
        virDomainGetXMLDesc(watch->subject.domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    g_autoptr(xmlDoc) document = text ? snapshot_xml_parse(text, "the definition", NULL) : NULL;
    free(text);
    g_autoptr(GPtrArray) nodes =
        document ? snapshot_xml_nodes(document, NULL, logs) : g_ptr_array_new();
    for (guint i = 0; i < nodes->len; i++)
        snapshot_xml_remove(nodes->pdata[i]);
    g_autofree char *changed = nodes->len ? snapshot_xml_text(document) : NULL;
    g_autoptr(virDomain) defined =
        changed ? virDomainDefineXML(watch->subject.host->connection, changed) : NULL;
    if (!document || (changed && !defined))
        step_warn(watch->run, "its definition goes on naming a log of its console in the store: %s",
                  snapshot_libvirt_message());
}

static JsonObject *watch_machine(struct watch *watch, GError **error)
{
    JsonObject *start = step_work_fact(watch->run->work, "start");
    gint64 at_us = start ? (gint64)json_find_uint(start, "running_at_us") : 0;
    JsonObject *result = NULL;
    watch->subject.running_at_us = at_us ? at_us : g_get_real_time();
    open_console(watch);
    if (watch->probes->len == 1)
        step_warn(watch->run, "that it stays on is all that is looked at: --probe tells what else "
                              "shows that it works");
    if (wait(watch, error)) {
        result = json_object_new();
        add_verdict(watch, result);
        add_console(watch, result);
        add_screenshot(watch, result);
        end_log(watch);
    }
    console_free(watch->subject.console);
    return result;
}

JsonObject *step_watch(const struct step_run *run, GError **error)
{
    struct step_host host;
    guint64 wait_s;
    g_autoptr(virDomain) domain = NULL;
    g_autoptr(GPtrArray) probes = probes_of(run->work, error);
    if (!probes || !step_work_option_uint(run->work, "wait_s", WAIT_S, &wait_s, error) ||
        !step_host_open_target(run->work, &host, error))
        return NULL;
    struct watch watch = {.run = run, .probes = probes};
    watch.deadline_us = g_get_monotonic_time() + (gint64)MIN(wait_s, G_MAXINT32) * G_USEC_PER_SEC;
    watch.subject.host = &host;
    JsonObject *result = NULL;
    if (step_host_need_moved(&host, run->work, &domain, error)) {
        watch.subject.domain = domain;
        result = watch_machine(&watch, error);
    }
    g_clear_pointer(&domain, virDomainFree);
    step_host_close(&host);
    return result;
}
