/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of where the machine comes from, and of what the daemon knows about it. */
#include "appliance/steps/preflight.h"
#include "base/json.h"
#include "snapshot/fence.h"
#include "snapshot/xml.h"

#include <string.h>

/* A machine whose host is lost can still be started elsewhere from what there is of it, but nobody
 * can say that it does not run any more. */
static void check_source(struct preflight *preflight)
{
    g_autoptr(GError) error = NULL;
    if (source_machine_open(preflight->work, &preflight->source, &error))
        return;
    if (preflight_shuts_down(preflight)) {
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
        return;
    }
    checks_add(&preflight->checks, VERDICT_WARNING, "make sure that it does not run there any more",
               "%s: the machine is started from what has come so far", error->message);
}

static void check_fence(struct preflight *preflight)
{
    g_autoptr(GError) error = NULL;
    struct snapshot_fence *fence = NULL;
    g_autofree char *owner = step_work_owner(preflight->work);
    if (!preflight->source.domain)
        return;
    if (!snapshot_fence_read(preflight->source.domain, &fence, &error)) {
        preflight_add_error(preflight, VERDICT_BLOCKED, error);
        return;
    }
    if (fence && fence->gone && g_strcmp0(fence->owner, owner) != 0)
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "landfall operation list tells what has become of it: roll that move back, or "
                   "complete it",
                   "it was moved to %s by operation %s", fence->target, fence->owner);
    snapshot_fence_free(fence);
}

/* How the guest will hear that it is to shut down. Nobody knows before whether it obeys. */
static void judge_guest(struct preflight *preflight, const char *domain_xml)
{
    const char *on_deadline = json_find_string(preflight->work->options, "on_deadline");
    gboolean force = g_strcmp0(on_deadline, "force") == 0;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(domain_xml, "the definition", NULL);
    if (!document || snapshot_xml_holds(document, NULL,
                                        "/domain/devices/channel/target"
                                        "[@name='org.qemu.guest_agent.0' and @state='connected']"))
        return;
    if (!snapshot_xml_holds(document, NULL, "/domain/features/acpi"))
        checks_add(&preflight->checks, force ? VERDICT_WARNING : VERDICT_BLOCKED,
                   "install qemu-guest-agent in the guest, shut it down yourself, or choose "
                   "--on-deadline force",
                   "it has neither a guest agent nor ACPI: it cannot hear that it is to shut down");
    else
        checks_add(&preflight->checks, VERDICT_WARNING,
                   "install and start qemu-guest-agent in the guest to be sure",
                   "no guest agent: it is shut down by its power button, and may not heed that");
}

static void check_shutdown(struct preflight *preflight)
{
    virDomainPtr domain = preflight->source.domain;
    int state = VIR_DOMAIN_NOSTATE;
    if (!domain || !preflight_shuts_down(preflight))
        return;
    if (virDomainGetState(domain, &state, NULL, 0) < 0) {
        checks_add(&preflight->checks, VERDICT_BLOCKED, "look at it with virsh domstate",
                   "it does not tell its state: %s", snapshot_libvirt_message());
        return;
    }
    if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_SHUTDOWN || state == VIR_DOMAIN_CRASHED)
        return;
    if (state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_PMSUSPENDED) {
        checks_add(&preflight->checks, VERDICT_BLOCKED,
                   "let it go on (virsh resume, virsh dompmwakeup), or switch it off",
                   "it is paused, and cannot shut down");
        return;
    }
    g_autofree char *text = virDomainGetXMLDesc(domain, 0);
    if (text)
        judge_guest(preflight, text);
}

/* What would end the last cycle with an error, by what the inventory knows. */
static void check_readiness(struct preflight *preflight)
{
    JsonObject *known = json_find_object(preflight->work->json, "known");
    JsonArray *entries = json_find_array(json_find_object(known, "readiness"), "checks");
    for (guint i = 0; entries && i < json_array_get_length(entries); i++) {
        JsonObject *entry = json_array_get_object_element(entries, i);
        if (g_strcmp0(json_find_string(entry, "verdict"), verdict_name(VERDICT_BLOCKED)) == 0)
            checks_add(&preflight->checks,
                       preflight_shuts_down(preflight) ? VERDICT_BLOCKED : VERDICT_WARNING,
                       json_find_string(entry, "hint"), "%s: %s", json_find_string(entry, "check"),
                       json_find_string(entry, "message"));
    }
}

static gint64 days_since(const char *text)
{
    g_autoptr(GDateTime) then = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    return then ? g_date_time_difference(now, then) / G_TIME_SPAN_DAY : G_MAXINT64;
}

static void check_test(struct preflight *preflight)
{
    JsonObject *known = json_find_object(preflight->work->json, "known");
    const char *at = json_find_string(json_find_object(known, "last_test"), "at");
    guint64 required = json_find_uint(preflight->work->options, "require_test_days");
    gint64 days = days_since(at);
    const char *hint = "landfall test-migrate tries it without touching the machine";
    if (at && (required == 0 || days < (gint64)required))
        return;
    enum verdict verdict = required > 0 ? VERDICT_BLOCKED : VERDICT_WARNING;
    if (at)
        checks_add(&preflight->checks, verdict, hint,
                   "the last test that passed is %" G_GINT64_FORMAT " days old", days);
    else
        checks_add(&preflight->checks, verdict, hint, "no test of it has passed yet");
}

void preflight_source(struct preflight *preflight)
{
    static const struct {
        const char *check;
        void (*look)(struct preflight *preflight);
        const char *fine;
    } checks[] = {
        {"source", check_source, "the host answers, and has the machine"},
        {"fence", check_fence, "no move has taken it away"},
        {"shutdown", check_shutdown, "it is off, or hears when it is to shut down"},
        {"readiness", check_readiness, "nothing stands in the way of the last cycle"},
        {"test", check_test, "a test has passed"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
        checks_begin(&preflight->checks, checks[i].check);
        checks[i].look(preflight);
        checks_end(&preflight->checks, checks[i].fine);
    }
}
