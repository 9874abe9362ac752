/* SPDX-License-Identifier: Apache-2.0 */

/* start: the operation's machine runs. QEMU is started with the processors standing still, so that
 * the instant of the first instruction is known and is not that of QEMU's own start. One that was
 * moved here is let run only if it stands still where it was, and has not run there since its
 * fence.
 *
 *   start → { "started_at_us": when that was asked for, "running_at_us": the first instruction, or
 *             when it was found running, both in µs since 1970; "already": it ran;
 *             "domain_name": NAME } */

#include "appliance/steps/host.h"
#include "appliance/steps/moved-disks.h"
#include "appliance/steps/source-machine.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "snapshot/fence.h"

#include <string.h>

static const struct {
    const char *word; /* in libvirt's or QEMU's message */
    const char *hint;
} hints[] = {
    {"Cannot allocate memory",
     "the host has too little free memory: give the machine less (landfall "
     "target set HOST --memory N), or free some"},
    {"cannot set up guest memory", "the host has too little free memory: give the machine less "
                                   "(landfall target set HOST --memory N), or free some"},
    {"etwork",
     "see `virsh net-list --all` there; landfall target set HOST --network A=B says which "
     "network takes the place of which"},
    {"ermission denied", "QEMU's user on the target must be able to enter the folders above the "
                         "store, and its security driver must allow the store's place"},
    {"Failed to get", "another QEMU has the image: end the machine that runs on it"},
    {"No such file",
     "the target must see the same store: landfall target set HOST --store-path DIR "
     "says where"},
    {"No space left", "free some space on the host, then do it again"},
};

static const char *hint_for(const char *message)
{
    for (gsize i = 0; i < G_N_ELEMENTS(hints); i++)
        if (strstr(message, hints[i].word))
            return hints[i].hint;
    return "the log of its QEMU is on the host, in /var/log/libvirt/qemu";
}

static gboolean refuse(const struct step_host *host, virDomainPtr domain, const char *verb,
                       GError **error)
{
    g_autofree char *message = g_strdup(snapshot_libvirt_message());
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, hint_for(message),
                               "host %s cannot %s machine %s", host->name, verb,
                               virDomainGetName(domain));
    return FALSE;
}

/* Paused because its disk failed is not paused by us. */
static gboolean check_paused(const struct step_host *host, virDomainPtr domain, int reason,
                             GError **error)
{
    if (reason != VIR_DOMAIN_PAUSED_IOERROR)
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "see that the store has space and can be read from there",
                       "machine %s on host %s is paused: a disk of it has failed",
                       virDomainGetName(domain), host->name);
    return FALSE;
}

/* A look at the machine that was left, in a thread of its own: QEMU is started here meanwhile. */
struct look {
    const struct step_work *work;
    GError *error;
};

/* The fence keeps Landfall from starting it, and nobody else. */
static gpointer look_at_source(gpointer data)
{
    struct look *look = data;
    struct source_machine source;
    struct snapshot_fence *fence = NULL;
    if (!source_machine_open(look->work, &source, &look->error))
        return NULL;
    if (source_machine_check_off(&source, look->work, &look->error) &&
        snapshot_fence_read(source.domain, &fence, &look->error))
        moved_disks_check(look->work, fence ? fence->disks : NULL, &look->error);
    snapshot_fence_free(fence);
    source_machine_close(&source);
    return NULL;
}

/* A source that cannot be asked keeps nobody from running elsewhere. */
static gboolean take_look(const struct step_run *run, const struct look *look, GError **error)
{
    if (g_error_matches(look->error, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT)) {
        g_propagate_error(error, g_error_copy(look->error));
        return FALSE;
    }
    if (look->error)
        step_warn(run, "whether it stands still where it was cannot be seen: %s",
                  look->error->message);
    return TRUE;
}

/* Started, with the processors standing still. */
static gboolean start_paused(const struct step_run *run, const struct step_host *host,
                             virDomainPtr domain, GError **error)
{
    struct look look = {.work = run->work};
    gboolean left = step_work_fact(run->work, "fence") != NULL;
    GThread *thread = left ? g_thread_new("source", look_at_source, &look) : NULL;
    gboolean ok = virDomainIsActive(domain) == 1 ||
                  virDomainCreateWithFlags(domain, VIR_DOMAIN_START_PAUSED) == 0 ||
                  refuse(host, domain, "start", error);
    if (thread)
        g_thread_join(thread);
    ok = ok && take_look(run, &look, error);
    g_clear_error(&look.error);
    return ok;
}

static gboolean ensure_running(const struct step_run *run, const struct step_host *host,
                               virDomainPtr domain, gboolean *ret_already, GError **error)
{
    int state, reason;
    if (virDomainGetState(domain, &state, &reason, 0) != 0)
        return refuse(host, domain, "tell the state of", error);
    *ret_already = state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED;
    if (*ret_already)
        return TRUE;
    if (state == VIR_DOMAIN_PAUSED && !check_paused(host, domain, reason, error))
        return FALSE;
    if (!start_paused(run, host, domain, error))
        return FALSE;
    return virDomainResume(domain) == 0 || refuse(host, domain, "let run", error);
}

/* What takes the source's place comes back with its host as the source did. */
static void take_autostart(const struct step_run *run, virDomainPtr domain)
{
    JsonObject *fence = step_work_fact(run->work, "fence");
    const char *name = virDomainGetName(domain);
    if (json_find_boolean(fence, "autostart") && virDomainSetAutostart(domain, 1) != 0)
        step_warn(run, "machine %s will not start with its host as it did at the source: %s", name,
                  snapshot_libvirt_message());
}

static JsonObject *start(const struct step_run *run, const struct step_host *host,
                         virDomainPtr domain, GError **error)
{
    gboolean already = FALSE;
    gint64 started_at_us = g_get_real_time();
    if (!ensure_running(run, host, domain, &already, error))
        return NULL;
    JsonObject *result = json_object_new();
    json_object_set_int_member(result, "started_at_us", started_at_us);
    json_object_set_int_member(result, "running_at_us", g_get_real_time());
    json_object_set_boolean_member(result, "already", already);
    json_object_set_string_member(result, "domain_name", virDomainGetName(domain));
    take_autostart(run, domain);
    return result;
}

JsonObject *step_start(const struct step_run *run, GError **error)
{
    struct step_host host;
    g_autoptr(virDomain) domain = NULL;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    JsonObject *result = step_host_need_moved(&host, run->work, &domain, error) &&
                                 snapshot_fence_check(domain, run->work->machine_name, error)
                             ? start(run, &host, domain, error)
                             : NULL;
    g_clear_pointer(&domain, virDomainFree);
    step_host_close(&host);
    return result;
}
