/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/rig.h"
#include "replicator/cycle.h"
#include "replicator/store.h"
#include "tests/crash/file-layer.h"
#include "tests/unit/temp-folder.h"

#include <gio/gio.h>
#include <string.h>

#define MEMORY_FOLDER "/dev/shm"

static const char *const disks[] = {"vda", "vdb"};

/* Removes the folder when this process has ended, however it ends: nothing is left over of a test
 * that fails. */
static GSubprocess *start_cleaner(const char *folder)
{
    g_autoptr(GError) error = NULL;
    GSubprocess *cleaner =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE, &error, "sh", "-c",
                         "trap '' INT TERM; cat; rm -rf -- \"$1\"", "sh", folder, NULL);
    g_assert_no_error(error);
    return cleaner;
}

struct rig *rig_new(guint64 vda_bytes, guint64 vdb_bytes)
{
    struct rig *rig = g_new0(struct rig, 1);
    const char *above = g_access(MEMORY_FOLDER, W_OK) == 0 ? MEMORY_FOLDER : g_get_tmp_dir();
    g_autofree char *template = g_build_filename(above, "landfall-crash-XXXXXX", NULL);
    rig->folder = g_strdup(g_mkdtemp(template));
    g_assert_nonnull(rig->folder);
    rig->cleaner = start_cleaner(rig->folder);
    rig->live = g_build_filename(rig->folder, "live", NULL);
    rig->store = g_build_filename(rig->live, "store", NULL);
    g_assert_cmpint(g_mkdir(rig->live, 0750), ==, 0);
    rig->source = source_start(rig->folder);
    source_add(rig->source, "vda", vda_bytes);
    source_add(rig->source, "vdb", vdb_bytes);
    rig->truth = truth_new();
    return rig;
}

static char *scratch_path(struct rig *rig, const char *what)
{
    return g_strdup_printf("%s/%s-%u", rig->folder, what, rig->scratch_count++);
}

static void forget_record(struct rig *rig)
{
    g_autofree char *start = g_build_filename(rig->folder, "start", NULL);
    if (rig->log)
        temp_folder_remove(start);
    g_clear_pointer(&rig->log, disk_log_free);
    g_clear_pointer(&rig->candidate, truth_free);
    rig->killed = FALSE;
}

void rig_forget_store(struct rig *rig)
{
    forget_record(rig);
    if (g_file_test(rig->store, G_FILE_TEST_IS_DIR))
        temp_folder_remove(rig->store);
    truth_free(rig->truth);
    rig->truth = truth_new();
}

void rig_free(struct rig *rig)
{
    rig_forget_store(rig);
    source_stop(rig->source);
    truth_free(rig->truth);
    g_output_stream_close(g_subprocess_get_stdin_pipe(rig->cleaner), NULL, NULL);
    g_subprocess_wait(rig->cleaner, NULL, NULL);
    g_object_unref(rig->cleaner);
    g_free(rig->folder);
    g_free(rig->live);
    g_free(rig->store);
    g_free(rig);
}

/* --- a cycle -------------------------------------------------------------------------------------
 */

struct watch {
    struct rig *rig;
    const struct rig_options *options;
    gint cancelled;
};

static void on_progress(void *data, const char *disk, guint64 done, guint64 total, guint64 read,
                        guint64 sent)
{
    (void)data, (void)disk, (void)done, (void)total, (void)read, (void)sent;
}

static void on_warning(void *data, const char *code, const char *disk, const char *message)
{
    (void)data, (void)disk;
    g_test_message("warning %s: %s", code, message);
}

static void on_plan(void *data, const char *disk, enum scan_mode mode, guint64 candidate_bytes,
                    const char *cause, const char *detail)
{
    struct watch *watch = data;
    (void)disk, (void)mode, (void)candidate_bytes, (void)cause, (void)detail;
    if (watch->options->cancel == CANCEL_AT_PLAN)
        g_atomic_int_set(&watch->cancelled, 1);
}

static void on_verify(void *data, const char *disk, enum verify_mode mode, guint64 total_bytes)
{
    struct watch *watch = data;
    guint8 byte = source_content(watch->rig->source, disk)[0] ^ 1;
    g_assert_cmpint(mode, ==, watch->options->verify);
    g_assert_cmpuint(total_bytes, >, 0);
    if (watch->options->write_at_verify)
        source_write(watch->rig->source, disk, 0, &byte, 1);
}

static gboolean on_source_done(void *data, GError **error)
{
    struct watch *watch = data;
    (void)error;
    if (watch->options->cancel == CANCEL_AT_SOURCE_DONE)
        g_atomic_int_set(&watch->cancelled, 1);
    return TRUE;
}

static void on_committed(void *data, const struct manifest *manifest)
{
    struct watch *watch = data;
    (void)manifest;
    watch->rig->committed_at = disk_log_length(watch->rig->log);
}

static struct work *make_work(const struct rig *rig, const struct rig_options *options)
{
    struct work *work = work_new();
    work->store = g_strdup(rig->store);
    work->machine = g_strdup(MACHINE_KEY);
    work->retain = options->retain;
    work->audit_blocks = options->audit_blocks;
    work->full_scan = options->full_scan;
    work->verify = options->verify;
    for (guint i = 0; i < (options->with_vdb ? 2 : 1); i++) {
        struct work_disk *disk = work_add_disk(work, disks[i]);
        disk->source.uri = g_strdup(source_uri(rig->source, disks[i]));
        if (options->by_bitmap)
            disk->bitmap = g_strdup(SOURCE_BITMAP);
    }
    return work;
}

static void add_candidate(struct rig *rig, const struct work *work)
{
    const GPtrArray *points = rig->truth->points;
    const struct truth_point *latest = points->len ? points->pdata[points->len - 1] : NULL;
    rig->candidate = truth_copy(rig->truth);
    struct truth_point *point = truth_add(rig->candidate, latest ? latest->number + 1 : 1);
    for (guint i = 0; i < work->disks->len; i++) {
        const char *disk = ((struct work_disk *)work->disks->pdata[i])->source.name;
        truth_add_disk(point, disk, source_content(rig->source, disk),
                       source_size(rig->source, disk));
    }
}

gboolean rig_cycle(struct rig *rig, const struct rig_options *options, GError **error)
{
    struct watch watch = {.rig = rig, .options = options};
    const struct cycle_observer observer = {.data = &watch,
                                            .progress = on_progress,
                                            .warning = on_warning,
                                            .plan = on_plan,
                                            .verify = on_verify,
                                            .source_done = on_source_done,
                                            .committed = on_committed};
    g_autofree char *start = g_build_filename(rig->folder, "start", NULL);
    struct work *work = make_work(rig, options);
    struct rate_limit *limit = rate_limit_new(0);
    if (!rig->killed) {
        forget_record(rig);
        rig->log = disk_log_new(rig->live, start);
    }
    rig->killed = FALSE;
    add_candidate(rig, work);
    rig->committed_at = G_MAXUINT;
    rig->retain = options->retain;
    file_layer_record(rig->log);
    if (options->fail_errnum)
        file_layer_fail_after(options->fail_after, options->fail_errnum);
    struct manifest *manifest = cycle_run(work, limit, &observer, &watch.cancelled, error);
    file_layer_stop();
    gboolean ok = manifest != NULL;
    manifest_free(manifest);
    rate_limit_free(limit);
    work_free(work);
    return ok;
}

/* --- the power goes ------------------------------------------------------------------------------
 */

/* What may and must be there after count operations. */
static struct truth *expected_after(const struct rig *rig, guint count)
{
    struct truth *truth = truth_copy(rig->candidate);
    GPtrArray *points = truth->points;
    gboolean committed = count >= rig->committed_at;
    for (guint i = 0; i < points->len; i++) {
        struct truth_point *point = points->pdata[i];
        gboolean newest = i + 1 == points->len;
        gboolean retires = committed && rig->retain && points->len - i > rig->retain;
        point->required = point->required && (newest ? committed : !retires);
    }
    return truth;
}

/* Opens for writing what a crash left; crashes that, too, and looks at what this leaves. */
static char *crash_recovery(struct rig *rig, const struct truth *truth, const char *path,
                            guint64 seed)
{
    g_autofree char *start = scratch_path(rig, "start");
    g_autofree char *store = g_build_filename(path, "store", NULL);
    struct disk_log *log = disk_log_new(path, start);
    file_layer_record(log);
    char *problem = truth_check_writing(truth, store);
    file_layer_stop();
    for (guint i = 0; !problem && i < 3; i++) {
        g_autofree char *again = scratch_path(rig, "again");
        g_autofree char *store_again = g_build_filename(again, "store", NULL);
        guint count = (guint)((seed / 7 + i * 13) % (disk_log_length(log) + 1));
        disk_log_build(log, count, DISK_FATE_CHANCE, seed + i, again);
        g_autofree char *found = truth_check_writing(truth, store_again);
        if (found)
            problem =
                g_strdup_printf("a second crash, %u operations into recovery: %s", count, found);
        temp_folder_remove(again);
    }
    disk_log_free(log);
    temp_folder_remove(start);
    return problem;
}

static char *describe_crash(const struct rig *rig, guint count, enum disk_fate fate, guint64 seed,
                            const char *problem)
{
    g_autofree char *last =
        count ? disk_log_describe(rig->log, count - 1) : g_strdup("the very start");
    return g_strdup_printf("crash after %u of %u operations (%s; committed at %u), fate %d, seed "
                           "%" G_GUINT64_FORMAT ": %s",
                           count, disk_log_length(rig->log), last, rig->committed_at, (int)fate,
                           seed, problem);
}

static char *crash_into(struct rig *rig, guint count, enum disk_fate fate, guint64 seed,
                        const char *path)
{
    g_autofree char *store = g_build_filename(path, "store", NULL);
    struct truth *truth = expected_after(rig, count);
    disk_log_build(rig->log, count, fate, seed, path);
    g_autofree char *problem = truth_check_reading(truth, store);
    if (!problem)
        problem = seed % 4 == 0 ? crash_recovery(rig, truth, path, seed)
                                : truth_check_writing(truth, store);
    truth_free(truth);
    return problem ? describe_crash(rig, count, fate, seed, problem) : NULL;
}

char *rig_crash(struct rig *rig, guint count, enum disk_fate fate, guint64 seed)
{
    g_autofree char *path = scratch_path(rig, "crash");
    char *problem = crash_into(rig, count, fate, seed, path);
    temp_folder_remove(path);
    return problem;
}

static void follow(struct rig *rig)
{
    truth_free(rig->truth);
    rig->truth = g_steal_pointer(&rig->candidate);
    truth_follow(rig->truth, rig->store);
}

char *rig_crash_and_go_on(struct rig *rig, guint count, enum disk_fate fate, guint64 seed)
{
    g_autofree char *path = scratch_path(rig, "crash");
    char *problem = crash_into(rig, count, fate, seed, path);
    temp_folder_remove(rig->live);
    g_assert_cmpint(g_rename(path, rig->live), ==, 0);
    follow(rig);
    forget_record(rig);
    return problem;
}

/* What is retired but not for good, or visible but not for good, may be there or not. */
void rig_kill(struct rig *rig, guint count)
{
    g_autofree char *path = scratch_path(rig, "killed");
    struct truth *truth = expected_after(rig, count);
    disk_log_cut(rig->log, count);
    disk_log_build(rig->log, count, DISK_FATE_KEPT, 0, path);
    temp_folder_remove(rig->live);
    g_assert_cmpint(g_rename(path, rig->live), ==, 0);
    truth_drop_unmade(truth, rig->store);
    truth_free(rig->truth);
    rig->truth = truth;
    g_clear_pointer(&rig->candidate, truth_free);
    rig->killed = TRUE;
}

char *rig_settle(struct rig *rig)
{
    struct truth *truth = expected_after(rig, disk_log_length(rig->log));
    char *problem = truth_check_reading(truth, rig->store);
    if (!problem)
        problem = truth_check_writing(truth, rig->store);
    truth_free(truth);
    if (rig->committed_at != G_MAXUINT)
        for (guint i = 0; i < G_N_ELEMENTS(disks); i++)
            source_forget_changes(rig->source, disks[i]);
    follow(rig);
    forget_record(rig);
    return problem;
}

char *rig_check_record(struct rig *rig)
{
    g_autofree char *path = scratch_path(rig, "replay");
    g_autofree char *output = NULL;
    const char *arguments[] = {"diff", "-r", rig->live, path, NULL};
    int status;
    disk_log_build(rig->log, disk_log_length(rig->log), DISK_FATE_KEPT, 0, path);
    g_assert_true(g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                               &output, NULL, &status, NULL));
    temp_folder_remove(path);
    return g_spawn_check_wait_status(status, NULL)
               ? NULL
               : g_strdup_printf("the record is not the store: %s", output);
}
