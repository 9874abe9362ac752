/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/nvram.h"
#include "appliance/steps/translate-work.h"
#include "replicator/store-file.h"
#include "snapshot/xml.h"

#include <string.h>

#define BYTES_MAX (64u * 1024u * 1024u)

/* Where libvirt puts them when a definition does not say; it does not tell of a machine that is
 * off.
 */
#define USUAL_PATH "/var/lib/libvirt/qemu/nvram/%s_VARS.fd"

/* The file at the source; NULL: the machine has none. */
static char *source_path(const struct step_work *work, gboolean *ret_uefi, GError **error)
{
    g_autofree char *text = translate_work_source(work, error);
    g_autoptr(xmlDoc) document = text ? snapshot_xml_parse(text, "the definition", error) : NULL;
    if (!document)
        return NULL;
    *ret_uefi = snapshot_xml_holds(document, NULL,
                                   "/domain/os[@firmware='efi' or loader/@type='pflash' or nvram]");
    char *path = snapshot_xml_string(document, NULL,
                                     "normalize-space(concat(/domain/os/nvram/source/@file, "
                                     "/domain/os/nvram[not(source)]))");
    return path || !*ret_uefi ? path : g_strdup_printf(USUAL_PATH, work->machine_name);
}

/* Its files are ours to see. */
static gboolean source_is_local(const struct step_work *work, GError **error)
{
    gboolean silent, local = FALSE;
    snapshot_connection_prepare();
    virConnectPtr connection =
        work->source_uri ? snapshot_connection_open(work->source_uri, &silent, error) : NULL;
    if (!connection)
        return FALSE;
    snapshot_host_check(connection, work->source_uri, &local, error);
    virConnectClose(connection);
    return local;
}

static gboolean copy(const char *from, const char *to, const struct step_access *access,
                     GError **error)
{
    gsize length;
    g_autofree char *content = store_file_load(from, BYTES_MAX, &length, error);
    return content && store_file_replace(to, content, length, error) &&
           step_access_grant(access, to, ACCESS_READ | ACCESS_WRITE, error);
}

gboolean nvram_copy(const struct step_run *run, const struct step_access *access,
                    const char *folder, gboolean *ret_copied, GError **error)
{
    gboolean uefi = FALSE;
    g_autoptr(GError) cause = NULL;
    g_autofree char *target = g_build_filename(folder, NVRAM_FILE, NULL);
    gboolean exists;
    if (!store_file_exists(target, &exists, error))
        return FALSE;
    *ret_copied = exists;
    if (exists)
        return TRUE;
    g_autofree char *source = source_path(run->work, &uefi, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    *ret_copied =
        source && source_is_local(run->work, &cause) && copy(source, target, access, &cause);
    if (uefi && !*ret_copied)
        step_warn(
            run,
            "its UEFI starts with the variables of a fresh machine: those of the source cannot "
            "be had: %s",
            cause ? cause->message : "its definition does not say where they are");
    return TRUE;
}
