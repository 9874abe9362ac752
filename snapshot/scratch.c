/* SPDX-License-Identifier: Apache-2.0 */
/* Room for scratch images. A scratch image that cannot grow fails the guest's own write, so room is
 * looked at before the snapshot, and watched while it is held: a thread ends the job before the
 * room runs out. The cycle is lost then, and the guest has noticed nothing.
 *
 *   start: one look at each folder → too little: no snapshot; little: a warning → the thread
 *   the thread: look (local: statvfs, every 50 ms; behind ssh: lines of one long command) → low:
 *               end the job, note why
 *   stop:  the thread ends; what it has to say becomes a warning
 *
 * The thread has a machine handle of its own; what it finds is read under its lock. */
#include "snapshot/snapshot-private.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#define MIB (1024ULL * 1024)

/* Without experience: a tenth of the disk, but no less than this. */
#define RESERVE_UNKNOWN_MIN_BYTES (1024 * MIB)
/* With it: so many times what earlier cycles lead one to expect, but no less than this. */
#define RESERVE_FACTOR 4
#define RESERVE_MIN_BYTES (256 * MIB)

/* The job is ended when less is free than the guest could fill before it has ended: at the fastest
 * pace seen, and never less than a margin, which a small file system cannot spare whole. */
#define MARGIN_MAX_BYTES (512 * MIB)
#define MARGIN_PART 4
#define LOCAL_PERIOD_MS 50
#define WATCH_NICE (-10)
#define LOCAL_REACTION_S 0.5
#define REMOTE_REACTION_S 3.0
#define REMOTE_SCRIPT_PERIOD "0.2"

/* A folder, and the scratch images in it. Disks that share a folder share its room. */
struct place {
    char *folder;
    GPtrArray *files;      /* char *: the images; borrowed from the decisions while starting */
    guint64 reserve_bytes; /* below this: a warning */
    guint64 disk_bytes;    /* the most the images can need */

    /* Of the looks at it. */
    gint64 seen_us; /* 0: it could not be looked at yet */
    guint64 free_bytes;
    guint64 total_bytes;
    double peak; /* bytes per second, the fastest that free space has gone */
};

struct scratch_watch {
    /* Set by start, never changed. */
    struct snapshot_machine machine; /* name, tag, host borrowed; domain a reference of our own */
    char *store_id;
    GPtrArray *places;    /* struct place *; the thread's once it runs */
    GSubprocess *process; /* behind ssh: prints what is free; NULL: local */
    GDataInputStream *lines;
    GCancellable *stop;
    GThread *thread;

    GMutex lock;
    /* Under lock. */
    char *low;     /* which folder ran low: the job was ended; or NULL */
    char *problem; /* why the watch saw or could do nothing, or NULL */
};

static void place_free(struct place *place)
{
    g_free(place->folder);
    g_ptr_array_unref(place->files);
    g_free(place);
}

static guint64 reserve_bytes(guint64 size_bytes, guint64 churn_bytes)
{
    guint64 reserve = churn_bytes ? MAX(churn_bytes * RESERVE_FACTOR, RESERVE_MIN_BYTES)
                                  : MAX(size_bytes / 10, RESERVE_UNKNOWN_MIN_BYTES);
    return MIN(size_bytes, reserve);
}

static struct place *place_for(GPtrArray *places, const char *folder)
{
    for (guint i = 0; i < places->len; i++) {
        struct place *place = places->pdata[i];
        if (strcmp(place->folder, folder) == 0)
            return place;
    }
    struct place *place = g_new0(struct place, 1);
    place->folder = g_strdup(folder);
    place->files = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(places, place);
    return place;
}

/* decisions has the disks of the plan in their order. */
static GPtrArray *places_of(const struct snapshot_plan *plan, const GPtrArray *decisions)
{
    GPtrArray *places = g_ptr_array_new_with_free_func((GDestroyNotify)place_free);
    for (guint i = 0; i < decisions->len; i++) {
        const struct disk_decision *decision = decisions->pdata[i];
        g_autofree char *folder = g_path_get_dirname(decision->scratch_path);
        struct place *place = place_for(places, folder);
        g_ptr_array_add(place->files, g_strdup(decision->scratch_path));
        place->reserve_bytes += reserve_bytes(decision->size_bytes, plan->disks[i].churn_bytes);
        place->disk_bytes += decision->size_bytes;
    }
    return places;
}

/* --- looking -------------------------------------------------------------------------------------
 */

static void place_note(struct place *place, guint64 free_bytes, guint64 total_bytes)
{
    gint64 now_us = g_get_monotonic_time();
    if (place->seen_us && free_bytes < place->free_bytes) {
        double seconds = (double)MAX(now_us - place->seen_us, 1) / G_USEC_PER_SEC;
        place->peak = MAX(place->peak, (double)(place->free_bytes - free_bytes) / seconds);
    }
    place->seen_us = now_us;
    place->free_bytes = free_bytes;
    place->total_bytes = total_bytes;
}

static void look_locally(GPtrArray *places)
{
    for (guint i = 0; i < places->len; i++) {
        struct place *place = places->pdata[i];
        struct statvfs space;
        if (statvfs(place->folder, &space) == 0)
            place_note(place, (guint64)space.f_bavail * space.f_frsize,
                       (guint64)space.f_blocks * space.f_frsize);
    }
}

/* What the images may still need: a disk can be copied once. */
static guint64 still_needed_bytes(const struct scratch_watch *watch, const struct place *place)
{
    guint64 used_bytes = 0;
    for (guint i = 0; watch->machine.host->local && i < place->files->len; i++) {
        GStatBuf status;
        if (g_stat(place->files->pdata[i], &status) == 0)
            used_bytes += (guint64)status.st_blocks * 512;
    }
    /* Tables of the image, generously. */
    guint64 most_bytes = place->disk_bytes + place->disk_bytes / 1024 + MIB;
    return most_bytes - MIN(used_bytes, most_bytes);
}

static gboolean is_low(const struct scratch_watch *watch, const struct place *place)
{
    if (!place->seen_us)
        return FALSE;
    double reaction_s = watch->machine.host->local ? LOCAL_REACTION_S : REMOTE_REACTION_S;
    guint64 margin = MIN(MARGIN_MAX_BYTES, place->total_bytes / MARGIN_PART);
    guint64 limit = MAX(margin, (guint64)(place->peak * reaction_s));
    return place->free_bytes < limit && place->free_bytes < still_needed_bytes(watch, place);
}

static const struct place *find_low(const struct scratch_watch *watch)
{
    for (guint i = 0; i < watch->places->len; i++)
        if (is_low(watch, watch->places->pdata[i]))
            return watch->places->pdata[i];
    return NULL;
}

static char *free_text(const struct place *place)
{
    g_autofree char *has = g_format_size_full(place->free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *total = g_format_size_full(place->total_bytes, G_FORMAT_SIZE_IEC_UNITS);
    return g_strdup_printf("scratch folder %s has %s free of %s", place->folder, has, total);
}

/* --- behind ssh ----------------------------------------------------------------------------------
 */

/* Prints "<number of the folder> <free blocks> <all blocks> <bytes of a block>", for each folder,
 * again and again; ends by itself when nobody listens any more. */
static char *remote_script(const GPtrArray *places)
{
    g_autoptr(GString) script = g_string_new("while :; do ");
    for (guint i = 0; i < places->len; i++) {
        const struct place *place = places->pdata[i];
        g_autofree char *folder = g_shell_quote(place->folder);
        g_string_append_printf(
            script, "echo \"%u $(stat -f -c '%%a %%b %%S' -- %s 2>/dev/null)\" || exit; ", i,
            folder);
    }
    g_string_append(script, "sleep " REMOTE_SCRIPT_PERIOD "; done");
    g_autofree char *quoted = g_shell_quote(script->str);
    return g_strdup_printf("sh -c %s", quoted);
}

static gboolean remote_start(struct scratch_watch *watch, GError **error)
{
    g_autofree char *script = remote_script(watch->places);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)watch->machine.host->ssh);
    g_strv_builder_add(builder, script);
    g_auto(GStrv) argv = g_strv_builder_end(builder);
    watch->process = g_subprocess_newv(
        (const char *const *)argv,
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error);
    if (!watch->process)
        return FALSE;
    watch->lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(watch->process));
    return TRUE;
}

/* Reads one line. FALSE: there will be no more. */
static gboolean look_remotely(struct scratch_watch *watch, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *line = g_data_input_stream_read_line(watch->lines, NULL, watch->stop, &cause);
    if (!line) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "%s",
                           cause ? cause->message : "the connection has ended");
        return FALSE;
    }
    g_auto(GStrv) words = g_strsplit(line, " ", 5);
    guint64 numbers[4];
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (!words[i] ||
            !g_ascii_string_to_unsigned(words[i], 10, 0, G_MAXUINT64, &numbers[i], NULL))
            return TRUE; /* a folder that is not there */
    if (numbers[0] < watch->places->len)
        place_note(watch->places->pdata[numbers[0]], numbers[1] * numbers[3],
                   numbers[2] * numbers[3]);
    return TRUE;
}

/* --- the thread ----------------------------------------------------------------------------------
 */

static void note(struct scratch_watch *watch, char **field, char *text)
{
    g_mutex_lock(&watch->lock);
    g_free(*field);
    *field = text;
    g_mutex_unlock(&watch->lock);
}

/* Looks once; FALSE: there is nothing more to be seen. Waits for the next time to look first. */
static gboolean look_again(struct scratch_watch *watch, GError **error)
{
    if (watch->process)
        return look_remotely(watch, error);
    GPollFD stop;
    if (g_cancellable_make_pollfd(watch->stop, &stop)) {
        g_poll(&stop, 1, LOCAL_PERIOD_MS);
        g_cancellable_release_fd(watch->stop);
    }
    look_locally(watch->places);
    return TRUE;
}

/* Ends the job if it is there and ours. The connection may have been lost since, so a second try
 * makes one of its own. */
static gboolean end_job(struct scratch_watch *watch, GError **error)
{
    enum job_owner owner = JOB_NONE;
    g_autoptr(GError) first = NULL;
    if (snapshot_job_find(&watch->machine, watch->store_id, &owner, NULL, NULL, &first))
        return owner != JOB_OURS || snapshot_job_end(&watch->machine, error);
    struct snapshot_host *host = snapshot_host_open(watch->machine.host->uri, error);
    struct snapshot_machine *machine =
        host ? snapshot_machine_lookup(host, watch->machine.uuid, error) : NULL;
    gboolean ok = machine &&
                  snapshot_job_find(machine, watch->store_id, &owner, NULL, NULL, error) &&
                  (owner != JOB_OURS || snapshot_job_end(machine, error));
    snapshot_machine_free(machine);
    snapshot_host_free(host);
    return ok;
}

static gpointer watch_main(gpointer data)
{
    struct scratch_watch *watch = data;
    g_autoptr(GError) error = NULL;
    /* On a busy host a look that comes late may come too late. Of this thread alone, and where this
     * user may. */
    (void)setpriority(PRIO_PROCESS, 0, WATCH_NICE);
    while (look_again(watch, &error) && !g_cancellable_is_cancelled(watch->stop)) {
        const struct place *low = find_low(watch);
        if (!low)
            continue;
        /* Noted first: from the moment that the job is told to end, what it serves is no snapshot.
         */
        note(watch, &watch->low, free_text(low));
        if (end_job(watch, &error))
            return NULL;
        note(watch, &watch->problem,
             g_strdup_printf("the backup job could not be ended: %s", error->message));
        g_clear_error(&error);
    }
    if (error && !g_cancellable_is_cancelled(watch->stop))
        note(watch, &watch->problem,
             g_strdup_printf("scratch space could not be watched to the end: %s", error->message));
    return NULL;
}

/* --- from outside --------------------------------------------------------------------------------
 */

static void warn_of_reserves(const struct scratch_watch *watch, GPtrArray *warnings)
{
    for (guint i = 0; i < watch->places->len; i++) {
        const struct place *place = watch->places->pdata[i];
        if (!place->seen_us || place->free_bytes >= place->reserve_bytes)
            continue;
        g_autofree char *has = free_text(place);
        g_autofree char *reserve =
            g_format_size_full(place->reserve_bytes, G_FORMAT_SIZE_IEC_UNITS);
        g_ptr_array_add(warnings,
                        g_strdup_printf("%s, less than the reserve of %s: if the guest overwrites "
                                        "much during the cycle, the cycle has to be given up",
                                        has, reserve));
    }
}

/* The first look at every folder. */
static gboolean first_look(struct scratch_watch *watch, GPtrArray *warnings)
{
    g_autoptr(GError) error = NULL;
    if (watch->machine.host->local) {
        look_locally(watch->places);
        return TRUE;
    }
    gboolean ok = remote_start(watch, &error);
    for (guint i = 0; ok && i < watch->places->len; i++)
        ok = look_remotely(watch, &error);
    if (!ok)
        g_ptr_array_add(warnings, g_strdup_printf("scratch space on the host cannot be watched: %s",
                                                  error->message));
    return ok;
}

static struct scratch_watch *watch_new(const struct snapshot_machine *machine,
                                       const struct snapshot_plan *plan, const GPtrArray *decisions)
{
    struct scratch_watch *watch = g_new0(struct scratch_watch, 1);
    watch->machine.host = machine->host;
    watch->machine.name = machine->name;
    watch->machine.uuid = machine->uuid;
    watch->machine.tag = machine->tag;
    watch->machine.domain = machine->domain;
    virDomainRef(machine->domain);
    watch->store_id = g_strdup(plan->store_id);
    watch->places = places_of(plan, decisions);
    watch->stop = g_cancellable_new();
    g_mutex_init(&watch->lock);
    return watch;
}

static void low_error_set(GError **error, const char *low, const char *consequence)
{
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "free space there, or set a scratch folder with more of it; without a "
                       "bandwidth limit, and in hours with fewer writes, a cycle needs less",
                       "%s: %s", low, consequence);
}

struct scratch_watch *snapshot_scratch_watch_start(const struct snapshot_machine *machine,
                                                   const struct snapshot_plan *plan,
                                                   const GPtrArray *decisions, GPtrArray *warnings,
                                                   GError **error)
{
    struct scratch_watch *watch = watch_new(machine, plan, decisions);
    gboolean seen = first_look(watch, warnings);
    const struct place *low = find_low(watch);
    if (low) {
        g_autofree char *text = free_text(low);
        g_autofree char *subject = g_strdup_printf("machine %s: %s", machine->name, text);
        low_error_set(error, subject, "too little for a snapshot beside a guest that writes");
        snapshot_scratch_watch_stop(watch, warnings);
        return NULL;
    }
    warn_of_reserves(watch, warnings);
    if (seen)
        watch->thread = g_thread_new("scratch-watch", watch_main, watch);
    return watch;
}

gboolean snapshot_scratch_watch_check(struct scratch_watch *watch, GError **error)
{
    g_mutex_lock(&watch->lock);
    g_autofree char *low = g_strdup(watch->low);
    g_mutex_unlock(&watch->lock);
    if (!low)
        return TRUE;
    g_autofree char *subject = g_strdup_printf("machine %s: %s", watch->machine.name, low);
    low_error_set(error, subject,
                  "the snapshot was given up before the guest's own writes could fail");
    return FALSE;
}

void snapshot_scratch_watch_stop(struct scratch_watch *watch, GPtrArray *warnings)
{
    if (!watch)
        return;
    g_cancellable_cancel(watch->stop);
    if (watch->process)
        g_subprocess_force_exit(watch->process);
    if (watch->thread)
        g_thread_join(watch->thread);
    if (watch->process)
        g_subprocess_wait(watch->process, NULL, NULL);
    if (watch->problem)
        g_ptr_array_add(warnings, g_strdup(watch->problem));
    virDomainFree(watch->machine.domain);
    g_clear_object(&watch->lines);
    g_clear_object(&watch->process);
    g_object_unref(watch->stop);
    g_ptr_array_unref(watch->places);
    g_mutex_clear(&watch->lock);
    g_free(watch->store_id);
    g_free(watch->low);
    g_free(watch->problem);
    g_free(watch);
}
