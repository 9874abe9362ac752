/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/power.h"
#include "snapshot/xml.h"

#define PRESS_EVERY_US (10 * G_USEC_PER_SEC)
#define LOOK_EVERY_US (250 * G_TIME_SPAN_MILLISECOND)
/* QEMU closes its images in this time. It is killed after it, and bitmaps are lost then. */
#define PLUG_PATIENCE_US (30 * G_USEC_PER_SEC)

/* Who listens to libvirt, asks the agent, and waits; freed with the last of them. */
struct watch {
    gint references; /* atomic */
    virDomainPtr domain;

    GMutex lock;
    GCond changed;
    /* Under lock. */
    gint64 shutdown_us; /* real time: the guest has turned itself off; 0: not yet */
    gint64 stopped_us;  /* real time: QEMU is gone; 0: not yet */
    gboolean agent_ended;
    char *agent_refusal; /* or NULL */
};

static void watch_unref(gpointer data)
{
    struct watch *watch = data;
    if (!g_atomic_int_dec_and_test(&watch->references))
        return;
    virDomainFree(watch->domain);
    g_mutex_clear(&watch->lock);
    g_cond_clear(&watch->changed);
    g_free(watch->agent_refusal);
    g_free(watch);
}

static struct watch *watch_ref(struct watch *watch)
{
    g_atomic_int_inc(&watch->references);
    return watch;
}

static struct watch *watch_new(virDomainPtr domain)
{
    struct watch *watch = g_new0(struct watch, 1);
    watch->references = 1;
    virDomainRef(domain);
    watch->domain = domain;
    g_mutex_init(&watch->lock);
    g_cond_init(&watch->changed);
    return watch;
}

/* In the thread of libvirt's events. */
static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *data)
{
    struct watch *watch = data;
    (void)connection, (void)domain, (void)detail;
    g_mutex_lock(&watch->lock);
    if (event == VIR_DOMAIN_EVENT_SHUTDOWN && !watch->shutdown_us)
        watch->shutdown_us = g_get_real_time();
    if (event == VIR_DOMAIN_EVENT_STOPPED && !watch->stopped_us)
        watch->stopped_us = g_get_real_time();
    g_cond_signal(&watch->changed);
    g_mutex_unlock(&watch->lock);
    return 0;
}

/* --- asking --------------------------------------------------------------------------------------
 */

/* An agent says nothing to a shutdown, and libvirt waits up to a minute for what it does not say:
 * so this has a thread of its own, which may be left behind. */
static gpointer ask_agent(gpointer data)
{
    struct watch *watch = data;
    gboolean asked = virDomainShutdownFlags(watch->domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0;
    g_mutex_lock(&watch->lock);
    watch->agent_ended = TRUE;
    if (!asked)
        watch->agent_refusal = g_strdup(snapshot_libvirt_message());
    g_cond_signal(&watch->changed);
    g_mutex_unlock(&watch->lock);
    watch_unref(watch);
    return NULL;
}

/* What the running definition says. */
struct guest {
    gboolean has_agent;
    gboolean restarts; /* instead of staying off: on_poweroff */
};

static gboolean look_at(virDomainPtr domain, struct guest *ret_guest, GError **error)
{
    char *text = virDomainGetXMLDesc(domain, 0);
    if (!text) {
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot read the definition of machine %s",
                                   virDomainGetName(domain));
        return FALSE;
    }
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the definition", error);
    free(text);
    if (!document)
        return FALSE;
    ret_guest->has_agent =
        snapshot_xml_holds(document, NULL,
                           "/domain/devices/channel/target[@name='org.qemu.guest_agent.0' and "
                           "@state='connected']");
    ret_guest->restarts = snapshot_xml_holds(document, NULL, "/domain/on_poweroff = 'restart'");
    return TRUE;
}

/* Of the running machine alone. */
static gboolean set_poweroff(virDomainPtr domain, unsigned action, GError **error)
{
    if (virDomainSetLifecycleAction(domain, VIR_DOMAIN_LIFECYCLE_POWEROFF, action,
                                    VIR_DOMAIN_AFFECT_LIVE) == 0)
        return TRUE;
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE,
                               "set <on_poweroff>destroy</on_poweroff> in its definition",
                               "machine %s starts again when it is shut down, and that cannot be "
                               "changed while it runs",
                               virDomainGetName(domain));
    return FALSE;
}

/* Whether QEMU is gone. A machine that is not there at all any more is off. */
static gboolean ask_off(virDomainPtr domain, gboolean *ret_off, GError **error)
{
    int active = virDomainIsActive(domain);
    if (active >= 0 || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
        *ret_off = active <= 0;
        return TRUE;
    }
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "cannot learn whether machine %s is running",
                               virDomainGetName(domain));
    return FALSE;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

/* One attempt to have the machine off. */
struct attempt {
    const struct power_off_plan *plan;
    const struct step_run *run;
    struct watch *watch;
    gint64 begun_us;
    gint64 deadline_us;
    gint64 next_press_us; /* of the power button */
    gboolean pressed;
};

static void press(struct attempt *attempt)
{
    if (virDomainShutdownFlags(attempt->watch->domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) < 0 &&
        virDomainIsActive(attempt->watch->domain) == 1)
        step_warn(attempt->run, "the power button cannot be pressed: %s",
                  snapshot_libvirt_message());
    attempt->pressed = TRUE;
    attempt->next_press_us = g_get_monotonic_time() + PRESS_EVERY_US;
}

/* Waits for news, but not past what is to be done next. */
static void wait_for_news(const struct attempt *attempt)
{
    struct watch *watch = attempt->watch;
    gint64 until_us = g_get_monotonic_time() + LOOK_EVERY_US;
    until_us = MIN(until_us, MIN(attempt->next_press_us, attempt->deadline_us));
    g_mutex_lock(&watch->lock);
    while (!watch->stopped_us && !watch->agent_refusal &&
           g_cond_wait_until(&watch->changed, &watch->lock, until_us))
        ;
    g_mutex_unlock(&watch->lock);
}

/* An agent that says no, or is not there after all: the power button is next. */
static void hear_agent(struct attempt *attempt)
{
    struct watch *watch = attempt->watch;
    g_mutex_lock(&watch->lock);
    g_autofree char *refusal = g_steal_pointer(&watch->agent_refusal);
    g_mutex_unlock(&watch->lock);
    if (!refusal || attempt->pressed)
        return;
    step_note(attempt->run, "the guest agent does not shut the guest down: %s", refusal);
    attempt->next_press_us = g_get_monotonic_time();
}

/* TRUE with *ret_off: whether it went off before the deadline. */
static gboolean ask_until_off(struct attempt *attempt, gboolean *ret_off, GError **error)
{
    for (;;) {
        gint64 now_us = g_get_monotonic_time();
        if (!ask_off(attempt->watch->domain, ret_off, error))
            return FALSE;
        if (*ret_off || now_us >= attempt->deadline_us)
            return TRUE;
        if (step_is_cancelled(attempt->run, error))
            return FALSE;
        if (now_us >= attempt->next_press_us)
            press(attempt);
        wait_for_news(attempt);
        hear_agent(attempt);
    }
}

/* Gracefully as long as that may help: QEMU stores its bitmaps when it closes its images. */
static gboolean pull_plug(struct attempt *attempt, GError **error)
{
    virDomainPtr domain = attempt->watch->domain;
    gint64 patience_us = g_get_monotonic_time() + PLUG_PATIENCE_US;
    gboolean off = FALSE;
    while (!off) {
        gboolean graceful = g_get_monotonic_time() < patience_us;
        int result = virDomainDestroyFlags(domain, graceful ? VIR_DOMAIN_DESTROY_GRACEFUL : 0);
        g_autoptr(GError) refusal = NULL;
        if (result != 0)
            snapshot_libvirt_error_set(&refusal, LANDFALL_ERROR_SOURCE,
                                       "virsh destroy on its host ends it",
                                       "machine %s cannot be forced off", virDomainGetName(domain));
        if (!ask_off(domain, &off, error))
            return FALSE;
        if (!off && !graceful) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return FALSE;
        }
    }
    return TRUE;
}

static void fill_result(const struct attempt *attempt, const char *how,
                        struct power_off_result *result)
{
    struct watch *watch = attempt->watch;
    result->how = how;
    result->ms = (guint64)(g_get_monotonic_time() - attempt->begun_us) / 1000;
    g_mutex_lock(&watch->lock);
    result->off_at_us = watch->shutdown_us ? watch->shutdown_us : watch->stopped_us;
    g_mutex_unlock(&watch->lock);
    if (!result->off_at_us)
        result->off_at_us = g_get_real_time();
}

static gboolean can_hear(virDomainPtr domain, const char **ret_state)
{
    int state = VIR_DOMAIN_NOSTATE;
    virDomainGetState(domain, &state, NULL, 0);
    *ret_state = state == VIR_DOMAIN_CRASHED ? "has crashed" : "is suspended";
    return state != VIR_DOMAIN_PAUSED && state != VIR_DOMAIN_PMSUSPENDED &&
           state != VIR_DOMAIN_CRASHED;
}

static gboolean end_by_force(struct attempt *attempt, struct power_off_result *ret_result,
                             GError **error)
{
    if (!pull_plug(attempt, error))
        return FALSE;
    fill_result(attempt, "forced", ret_result);
    return TRUE;
}

static gboolean ask(struct attempt *attempt, gboolean has_agent,
                    struct power_off_result *ret_result, GError **error)
{
    virDomainPtr domain = attempt->watch->domain;
    gboolean off = FALSE;
    if (has_agent) {
        attempt->next_press_us = attempt->begun_us + PRESS_EVERY_US;
        g_thread_unref(g_thread_new("agent", ask_agent, watch_ref(attempt->watch)));
    }
    if (!ask_until_off(attempt, &off, error))
        return FALSE;
    if (off) {
        fill_result(attempt, attempt->pressed ? "acpi" : "agent", ret_result);
        return TRUE;
    }
    if (attempt->plan->force) {
        step_warn(attempt->run,
                  "machine %s did not shut down in %" G_GUINT64_FORMAT
                  " s and is forced off: its file systems are as after a power cut",
                  virDomainGetName(domain), attempt->plan->deadline_s);
        return end_by_force(attempt, ret_result, error);
    }
    landfall_error_set(
        error, LANDFALL_ERROR_SOURCE,
        "shut it down inside the guest, give it more time, or choose to force it off "
        "(--on-deadline force); it may still follow what it was asked",
        "machine %s did not shut down in %" G_GUINT64_FORMAT " s", virDomainGetName(domain),
        attempt->plan->deadline_s);
    return FALSE;
}

static gboolean attempt_off(struct attempt *attempt, struct power_off_result *ret_result,
                            GError **error)
{
    virDomainPtr domain = attempt->watch->domain;
    struct guest guest = {FALSE, FALSE};
    const char *state;
    if (!can_hear(domain, &state)) {
        if (attempt->plan->force)
            return end_by_force(attempt, ret_result, error);
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "resume it, or choose to force it off (--on-deadline force)",
                           "machine %s %s: its guest cannot shut down", virDomainGetName(domain),
                           state);
        return FALSE;
    }
    if (!look_at(domain, &guest, error) ||
        (guest.restarts && !set_poweroff(domain, VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, error)))
        return FALSE;
    if (ask(attempt, guest.has_agent, ret_result, error))
        return TRUE;
    if (guest.restarts)
        set_poweroff(domain, VIR_DOMAIN_LIFECYCLE_ACTION_RESTART, NULL);
    return FALSE;
}

gboolean power_off(virDomainPtr domain, const struct power_off_plan *plan,
                   const struct step_run *run, struct power_off_result *ret_result, GError **error)
{
    gint64 now_us = g_get_monotonic_time();
    gboolean off;
    if (!ask_off(domain, &off, error))
        return FALSE;
    if (off) {
        *ret_result = (struct power_off_result){"already-off", 0, 0};
        return TRUE;
    }
    struct attempt attempt = {
        .plan = plan,
        .run = run,
        .watch = watch_new(domain),
        .begun_us = now_us,
        .deadline_us = now_us + (gint64)plan->deadline_s * G_USEC_PER_SEC,
        .next_press_us = now_us,
    };
    virConnectPtr connection = virDomainGetConnect(domain);
    /* Without events it is looked at from time to time, and the time of the end is less exact. */
    int callback = virConnectDomainEventRegisterAny(
        connection, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle),
        watch_ref(attempt.watch), watch_unref);
    if (callback < 0)
        watch_unref(attempt.watch);
    gboolean ok = attempt_off(&attempt, ret_result, error);
    if (callback >= 0)
        virConnectDomainEventDeregisterAny(connection, callback);
    watch_unref(attempt.watch);
    return ok;
}

JsonObject *power_off_to_json(const struct power_off_result *result)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "how", result->how);
    json_object_set_int_member(object, "ms", (gint64)result->ms);
    json_object_set_int_member(object, "off_at_us", result->off_at_us);
    return object;
}
