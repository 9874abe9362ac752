/* SPDX-License-Identifier: Apache-2.0 */
/* The thaw of last resort: a process of its own that outlives ours. While the guest is frozen it
 * waits at a pipe; if we are killed the pipe breaks, if we hang the deadline passes, and it thaws
 * the guest then as the next clean would do, which may be a long time off.
 *
 *   we                                   the guard
 *   start ── argv, pipe ───────────────▶ waits, no longer than the deadline and a bit
 *   dismiss ── SIGKILL ────────────────▶ ends, nothing done
 *   (dead) ── end of file, or (hung) ──▶ marker there? thaw, marker gone */
#include "snapshot/snapshot-private.h"

#include <unistd.h>

/* Our own thaw comes first, and a late one is better than two at once. */
#define GRACE_MS 2000
/* A stuck agent freezes late, and has to be thawed after that. */
#define TRIES 30
#define TRY_PERIOD_US G_USEC_PER_SEC

GSubprocess *snapshot_thaw_guard_start(const struct snapshot_machine *machine,
                                       const struct snapshot_plan *plan, GPtrArray *warnings)
{
    if (!plan->thaw_guard)
        return NULL;
    g_autofree char *deadline_ms = g_strdup_printf("%u", plan->freeze_deadline_ms);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)plan->thaw_guard);
    g_strv_builder_add_many(builder, machine->host->uri, machine->uuid, plan->store_id, deadline_ms,
                            NULL);
    g_auto(GStrv) argv = g_strv_builder_end(builder);
    g_autoptr(GError) problem = NULL;
    GSubprocess *guard =
        g_subprocess_newv((const char *const *)argv,
                          G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                              G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                          &problem);
    if (!guard)
        g_ptr_array_add(warnings,
                        g_strdup_printf("if this program is killed while the guest is "
                                        "frozen, nobody thaws it before the next cycle: %s",
                                        problem->message));
    return guard;
}

void snapshot_thaw_guard_dismiss(GSubprocess *guard)
{
    if (!guard)
        return;
    /* Not a word through the pipe: to write to one that is broken would be the end of us. */
    g_subprocess_force_exit(guard);
    g_subprocess_wait(guard, NULL, NULL);
    g_object_unref(guard);
}

/* Until whoever froze the guest is dead, or has had his time. Nothing ever comes through the pipe.
 */
static void wait_for_need(unsigned deadline_ms)
{
    GPollFD input = {.fd = STDIN_FILENO, .events = G_IO_IN | G_IO_HUP};
    g_poll(&input, 1, (gint)MIN(deadline_ms, (unsigned)G_MAXINT - GRACE_MS) + GRACE_MS);
}

gboolean snapshot_thaw_guard_run(const char *uri, const char *uuid, const char *store_id,
                                 unsigned deadline_ms, GError **error)
{
    /* A signal to a terminal's foreground group is not for us. */
    setsid();
    wait_for_need(deadline_ms);
    struct snapshot_host *host = snapshot_host_open(uri, error);
    struct snapshot_machine *machine = host ? snapshot_machine_lookup(host, uuid, error) : NULL;
    g_autoptr(GPtrArray) removed = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = machine != NULL;
    for (guint try = 0; ok && try < TRIES; try++) {
        if (!snapshot_marker_present(machine, MARKER_FROZEN, store_id))
            break;
        if (try > 0)
            g_usleep(TRY_PERIOD_US);
        snapshot_thaw_stale(machine, store_id, removed);
    }
    snapshot_machine_free(machine);
    snapshot_host_free(host);
    return ok;
}
