/* SPDX-License-Identifier: Apache-2.0 */

/* stop: the operation's machine is off. Its guest is asked for as long as the option deadline_s
 * says (a test's is not, unless it says so: what it wrote goes anyway), then it is switched off.
 *
 *   stop → { "how": "not-there" | "already-off" | "agent" | "acpi" | "forced", "ms": N,
 *            "off_at_us": the guest's own end, in µs since 1970; 0: before this } */

#include "appliance/steps/clone.h"
#include "appliance/steps/host.h"
#include "appliance/steps/power.h"
#include "appliance/steps/steps.h"

#define DEADLINE_S 60

/* Without a word to the guest. */
static gboolean switch_off(const struct step_host *host, virDomainPtr domain,
                           struct power_off_result *ret_result, GError **error)
{
    gint64 begun_us = g_get_monotonic_time();
    gboolean was_off = virDomainIsActive(domain) == 0;
    /* Each call of libvirt's waits some seconds for QEMU to go. */
    if (!was_off && virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_GRACEFUL) != 0 &&
        virDomainDestroy(domain) != 0 && virDomainIsActive(domain) != 0) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "host %s cannot end machine %s", host->name,
                                   virDomainGetName(domain));
        return FALSE;
    }
    *ret_result = (struct power_off_result){
        .how = was_off ? "already-off" : "forced",
        .ms = (guint64)(g_get_monotonic_time() - begun_us) / 1000,
        .off_at_us = was_off ? 0 : g_get_real_time(),
    };
    return TRUE;
}

/* One that is not there any more may run elsewhere, where somebody has migrated it: where its disks
 * can be seen, they tell. */
static gboolean check_gone(const struct step_work *work, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (work->reach != STEP_REACH_PATH || !step_work_fact(work, "start") ||
        clone_check_unused(work, &cause))
        return TRUE;
    if (!g_error_matches(cause, LANDFALL_ERROR, LANDFALL_ERROR_CONFLICT)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "see where it runs, and shut it down there; then run the same again",
                       "machine %s is not on host %s any more, and its disks are open: %s",
                       work->machine_name, work->target_host, cause->message);
    return FALSE;
}

static gboolean stop(const struct step_run *run, const struct step_host *host,
                     struct power_off_result *ret_result, GError **error)
{
    struct power_off_plan plan = {.force = TRUE};
    guint64 usual_s = g_str_has_prefix(run->work->kind, "test") ? 0 : DEADLINE_S;
    g_autoptr(virDomain) domain = NULL;
    if (!step_work_option_uint(run->work, "deadline_s", usual_s, &plan.deadline_s, error) ||
        !(step_work_is_home(run->work) ? step_host_need_moved
                                       : step_host_find_machine)(host, run->work, &domain, error))
        return FALSE;
    if (domain && plan.deadline_s)
        return power_off(domain, &plan, run, ret_result, error);
    *ret_result = (struct power_off_result){.how = "not-there"};
    return domain ? switch_off(host, domain, ret_result, error) : check_gone(run->work, error);
}

JsonObject *step_stop(const struct step_run *run, GError **error)
{
    struct step_host host;
    struct power_off_result off = {0};
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    gboolean ok = stop(run, &host, &off, error);
    step_host_close(&host);
    return ok ? power_off_to_json(&off) : NULL;
}
