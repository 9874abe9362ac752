/* SPDX-License-Identifier: Apache-2.0 */
/* The backup job of a machine: whose it is, how it ends, and which jobs of others stand in the way.
 */
#include "snapshot/snapshot-private.h"

#define JOB_END_DEADLINE_US (30 * G_USEC_PER_SEC)
#define JOB_POLL_US (10 * G_TIME_SPAN_MILLISECOND)

/* The job's definition, or NULL when there is none (*error untouched then). */
static char *job_xml(struct snapshot_machine *machine, GError **error)
{
    char *text = virDomainBackupGetXMLDesc(machine->domain, 0);
    if (text) {
        char *copy = g_strdup(text);
        free(text);
        return copy;
    }
    int code = virGetLastErrorCode();
    if (code != VIR_ERR_NO_DOMAIN_BACKUP && code != VIR_ERR_OPERATION_INVALID &&
        code != VIR_ERR_NO_DOMAIN)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "cannot ask machine %s for its backup job", machine->name);
    return NULL;
}

GPtrArray *snapshot_job_paths(xmlDocPtr document)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) nodes =
        snapshot_xml_nodes(document, NULL,
                           "//server/@socket | //scratch/@file | //scratch/@dev | //target/@file | "
                           "//target/@dev");
    for (guint i = 0; i < nodes->len; i++) {
        char *path = snapshot_xml_string(document, nodes->pdata[i], "string(.)");
        if (path)
            g_ptr_array_add(paths, path);
    }
    return paths;
}

gboolean snapshot_job_find(struct snapshot_machine *machine, const char *store_id,
                           enum job_owner *ret_owner, GPtrArray *files, char **ret_what,
                           GError **error)
{
    GError *problem = NULL;
    g_autofree char *text = job_xml(machine, &problem);
    if (!text) {
        if (problem) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        *ret_owner = JOB_NONE;
        return TRUE;
    }
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the backup job", error);
    if (!document)
        return FALSE;
    g_autoptr(GPtrArray) paths = snapshot_job_paths(document);
    g_autoptr(GString) what = g_string_new(NULL);
    gboolean ours = FALSE;
    for (guint i = 0; i < paths->len; i++) {
        const char *path = paths->pdata[i];
        g_string_append_printf(what, "%s%s", i ? ", " : "", path);
        if (!snapshot_file_is_ours(machine, store_id, path))
            continue;
        ours = TRUE;
        if (files)
            g_ptr_array_add(files, g_strdup(path));
    }
    if (!ours && ret_what)
        *ret_what = g_string_free(g_steal_pointer(&what), FALSE);
    *ret_owner = ours ? JOB_OURS : JOB_FOREIGN;
    return TRUE;
}

gboolean snapshot_job_end(struct snapshot_machine *machine, GError **error)
{
    /* A job that ended by itself, or with its machine, is as good as one that we ended: only its
     * absence counts, and that is asked below. */
    gboolean asked = virDomainAbortJob(machine->domain) == 0;
    g_autofree char *refusal = asked ? NULL : g_strdup(snapshot_libvirt_message());

    /* libvirt ends the job when QEMU has said so for each disk, which is a matter of milliseconds.
     * There is an event for it, but events need a thread and a loop for the whole process. */
    gint64 deadline_us = g_get_monotonic_time() + JOB_END_DEADLINE_US;
    for (;;) {
        GError *problem = NULL;
        g_autofree char *text = job_xml(machine, &problem);
        if (!text && !problem)
            return TRUE;
        if (problem) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        if (!asked || g_get_monotonic_time() > deadline_us)
            break;
        g_usleep(JOB_POLL_US);
    }
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "`virsh domjobabort` on the host ends it; the next cycle tries that first",
                       "machine %s: the backup job does not end: %s", machine->name,
                       refusal ? refusal : "no answer from QEMU in 30 s");
    return FALSE;
}

static gboolean check_block_jobs(struct snapshot_machine *machine, GError **error)
{
    for (guint i = 0; i < machine->disks->len; i++) {
        struct machine_disk *disk = machine->disks->pdata[i];
        virDomainBlockJobInfo info = {0};
        if (disk->public.unsupported_reason ||
            virDomainGetBlockJobInfo(machine->domain, disk->public.name, &info, 0) != 1)
            continue;
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                           "wait for it, or end it with `virsh blockjob --abort` on the host",
                           "machine %s: disk %s has a block job (copy, commit or pull) running",
                           machine->name, disk->public.name);
        return FALSE;
    }
    return TRUE;
}

gboolean snapshot_job_check_others(struct snapshot_machine *machine, GError **error)
{
    int type = VIR_DOMAIN_JOB_NONE, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN, count = 0;
    virTypedParameterPtr parameters = NULL;
    if (virDomainGetJobStats(machine->domain, &type, &parameters, &count, 0) == 0) {
        virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
        virTypedParamsFree(parameters, count);
    }
    if (type == VIR_DOMAIN_JOB_NONE || type == VIR_DOMAIN_JOB_COMPLETED)
        return check_block_jobs(machine, error);
    static const char *const names[] = {
        [VIR_DOMAIN_JOB_OPERATION_START] = "start",
        [VIR_DOMAIN_JOB_OPERATION_SAVE] = "save",
        [VIR_DOMAIN_JOB_OPERATION_RESTORE] = "restore",
        [VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN] = "incoming migration",
        [VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT] = "outgoing migration",
        [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT] = "snapshot",
        [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT] = "revert to a snapshot",
        [VIR_DOMAIN_JOB_OPERATION_DUMP] = "dump",
        [VIR_DOMAIN_JOB_OPERATION_BACKUP] = "backup",
    };
    const char *name =
        operation >= 0 && operation < (int)G_N_ELEMENTS(names) ? names[operation] : NULL;
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "the next cycle tries again; `virsh domjobinfo` on the host shows the job",
                       "machine %s: another job runs on it (%s)", machine->name,
                       name ? name : "of unknown kind");
    return FALSE;
}
