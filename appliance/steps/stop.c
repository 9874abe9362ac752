/* SPDX-License-Identifier: Apache-2.0 */

/* stop: the operation's machine is off. Its guest is asked for as long as the option deadline_s
 * says (a test's is not, unless it says so: what it wrote goes anyway), then its QEMU is ended.
 *
 *   stop → { "how": "not-there" | "already-off" | "shutdown" | "destroyed", "off_at_us": N } */

#include "appliance/steps/host.h"
#include "appliance/steps/steps.h"
#include "base/json.h"

#define DEADLINE_S 60
#define LOOK_MS 200

static gboolean is_off(virDomainPtr domain)
{
    return virDomainIsActive(domain) == 0 ||
           (virDomainIsActive(domain) < 0 && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN);
}

/* TRUE when the guest went by itself in time. */
static gboolean shut_down(const struct step_run *run, virDomainPtr domain, guint64 deadline_s,
                          GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + (gint64)deadline_s * G_USEC_PER_SEC;
    if (deadline_s == 0 || virDomainShutdown(domain) != 0)
        return FALSE;
    while (!is_off(domain)) {
        if (g_get_monotonic_time() >= deadline_us || !step_wait(run, LOOK_MS, error))
            return FALSE;
    }
    return TRUE;
}

/* Each call of libvirt's waits some seconds for QEMU to go. */
static gboolean destroy(const struct step_host *host, virDomainPtr domain, GError **error)
{
    if (virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_GRACEFUL) == 0 || is_off(domain) ||
        virDomainDestroy(domain) == 0 || is_off(domain))
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "host %s cannot end machine %s",
                               host->name, virDomainGetName(domain));
    return FALSE;
}

/* What was done, or NULL. */
static const char *stop(const struct step_run *run, const struct step_host *host,
                        virDomainPtr domain, GError **error)
{
    guint64 deadline_s = g_str_has_prefix(run->work->kind, "test") ? 0 : DEADLINE_S;
    g_autoptr(GError) cancelled = NULL;
    if (!step_work_option_uint(run->work, "deadline_s", deadline_s, &deadline_s, error))
        return NULL;
    if (!domain || is_off(domain))
        return domain ? "already-off" : "not-there";
    if (shut_down(run, domain, deadline_s, &cancelled))
        return "shutdown";
    if (cancelled) {
        g_propagate_error(error, g_steal_pointer(&cancelled));
        return NULL;
    }
    if (deadline_s)
        step_warn(run,
                  "the guest of %s did not shut down within %" G_GUINT64_FORMAT
                  " s: it is switched off",
                  virDomainGetName(domain), deadline_s);
    return destroy(host, domain, error) ? "destroyed" : NULL;
}

JsonObject *step_stop(const struct step_run *run, GError **error)
{
    struct step_host host;
    g_autoptr(virDomain) domain = NULL;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    const char *how = step_host_find_machine(&host, run->work, &domain, error)
                          ? stop(run, &host, domain, error)
                          : NULL;
    JsonObject *result = how ? json_object_new() : NULL;
    if (how) {
        json_object_set_string_member(result, "how", how);
        json_object_set_int_member(result, "off_at_us", g_get_real_time());
    }
    g_clear_pointer(&domain, virDomainFree);
    step_host_close(&host);
    return result;
}
