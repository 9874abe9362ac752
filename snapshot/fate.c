/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of a snapshot that somebody reads: a reader sees no more than a broken NBD
 * connection, or, for the moment between a job's end and that of its exports, sees blocks that the
 * guest has changed since. */
#include "snapshot/snapshot-private.h"

#include <poll.h>

/* QEMU is dead some milliseconds before libvirt knows. */
#define GRACE_US (2 * G_USEC_PER_SEC)
#define POLL_MS 50

static const char *stop_reason(struct snapshot_machine *machine)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (virDomainGetState(machine->domain, &state, &reason, 0) != 0)
        return "it is gone from the host";
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_CRASHED:
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return "QEMU has died";
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
        return "it was shut down";
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
        return "it was forced off";
    case VIR_DOMAIN_SHUTOFF_MIGRATED:
        return "it was migrated to another host";
    case VIR_DOMAIN_SHUTOFF_SAVED:
    case VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT:
        return "it was saved or reverted to a snapshot";
    default:
        return "nobody says why";
    }
}

/* Whether the job that serves the snapshot is there still; without an answer it is taken to be. */
static gboolean job_serves(const struct snapshot *snapshot)
{
    enum job_owner owner = JOB_NONE;
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    if (!snapshot_job_find(snapshot->machine, snapshot->store_id, &owner, files, NULL, NULL))
        return TRUE;
    return g_ptr_array_find_with_equal_func(files, snapshot->socket_path, g_str_equal, NULL);
}

static gboolean check_job(const struct snapshot *snapshot, GError **error)
{
    if (job_serves(snapshot))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "see who ends backup jobs on the host (`virsh domjobabort`, another backup "
                       "tool), then run the cycle again",
                       "machine %s: somebody has ended the backup job while its disks were read",
                       snapshot->machine->name);
    return FALSE;
}

/* Nobody can have started the machine, or its QEMU has found the images locked. */
static gboolean check_offline(const struct snapshot *snapshot, GError **error)
{
    if (snapshot_offline_serves(snapshot))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "see whether somebody kills it, or the host lacks memory, then run the "
                       "cycle again",
                       "machine %s: qemu-storage-daemon has ended while its disks were read",
                       snapshot->machine->name);
    return FALSE;
}

gboolean snapshot_check(struct snapshot *snapshot, GError **error)
{
    gboolean active = FALSE;
    if (!snapshot->machine || snapshot->ended)
        return TRUE;
    if (snapshot->is_offline)
        return check_offline(snapshot, error);
    if (!snapshot_scratch_watch_check(snapshot->scratch_watch, error))
        return FALSE;
    /* A machine that stops takes its exports along before anything can change behind them. */
    return !snapshot_machine_ask_active(snapshot->machine, &active, NULL) || !active ||
           check_job(snapshot, error);
}

/* FALSE and *error: it is known what has happened. */
static gboolean look_for_cause(struct snapshot *snapshot, GError **error)
{
    struct snapshot_machine *machine = snapshot->machine;
    gboolean active = FALSE;
    if (snapshot->is_offline)
        return check_offline(snapshot, error);
    if (!snapshot_scratch_watch_check(snapshot->scratch_watch, error) ||
        !snapshot_machine_revive(machine, error) ||
        !snapshot_machine_ask_active(machine, &active, error))
        return FALSE;
    if (active)
        return check_job(snapshot, error);
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "run the cycle again, whether the machine is started or stays off; disks "
                       "whose bitmaps QEMU could not save are scanned then",
                       "machine %s has stopped while its disks were read (%s)", machine->name,
                       stop_reason(machine));
    return FALSE;
}

void snapshot_explain(struct snapshot *snapshot, GError **error_inout)
{
    gint64 deadline_us = g_get_monotonic_time() + GRACE_US;
    if (!snapshot->machine || snapshot->ended ||
        !g_error_matches(*error_inout, LANDFALL_ERROR, LANDFALL_ERROR_SOURCE))
        return;
    g_autoptr(GError) cause = NULL;
    while (look_for_cause(snapshot, &cause)) {
        if (g_get_monotonic_time() > deadline_us)
            return;
        poll(NULL, 0, POLL_MS); /* libvirt tells no one who has no event loop */
    }
    if (g_str_equal(cause->message, (*error_inout)->message))
        return; /* that was how it showed */
    g_autoptr(GError) symptom = g_steal_pointer(error_inout);
    landfall_error_set(error_inout, (enum landfall_error_code)cause->code,
                       landfall_error_hint(cause), "%s; what was seen of it: %s", cause->message,
                       symptom->message);
}
