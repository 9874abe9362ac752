/* SPDX-License-Identifier: Apache-2.0 */

/* trust: the target's QEMU gets the certificate by which this appliance's NBD server knows it, and
 * that of the authority by which it knows the server. libvirt looks for them in one folder on the
 * host, and its storage API reads and writes files there: so it works over every connection. The
 * authority's certificate is written last: where it is ours, the others are there.
 *
 *   trust → { "needed": true | false, "folder": PATH, "installed": true | false } */

#include "appliance/steps/host.h"
#include "appliance/steps/nbd-credentials.h"
#include "appliance/steps/steps.h"
#include "snapshot/xml.h"

#include <string.h>

#define POOL_NAME "landfall-certificates"
#define FILE_BYTES_MAX 65536u

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStorageVol, virStorageVolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStream, virStreamFree)

/* The folder of NBD's own counts where it was there when libvirtd started; the other is the default
 * of all of QEMU's. */
static const char *const folders[] = {"/etc/pki/libvirt-nbd", "/etc/pki/qemu"};

static const char *const files[] = {"client-key.pem", "client-cert.pem", "ca-cert.pem"};
#define AUTHORITY 2u

struct trust {
    const struct step_host *host;
    const char *folder;     /* there */
    virStoragePoolPtr pool; /* of the folder, while this lasts */
    gboolean pool_is_ours;
    uid_t user;
    gid_t group;
};

static gboolean refused(const struct trust *trust, const char *what, GError **error)
{
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                               "host %s, certificates in %s: cannot %s", trust->host->name,
                               trust->folder, what);
    return FALSE;
}

/* --- the folder as a pool ------------------------------------------------------------------------
 */

static virStoragePoolPtr make_pool(const struct trust *trust, gboolean build)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"pool");
    xmlDocSetRootElement(document, root);
    snapshot_xml_set(root, "type", "dir");
    snapshot_xml_child(root, "name", POOL_NAME);
    xmlNodePtr target = snapshot_xml_child(root, "target", NULL);
    snapshot_xml_child(target, "path", trust->folder);
    snapshot_xml_child(snapshot_xml_child(target, "permissions", NULL), "mode", "0755");
    g_autofree char *text = snapshot_xml_text(document);
    return virStoragePoolCreateXML(trust->host->connection, text,
                                   build ? VIR_STORAGE_POOL_CREATE_WITH_BUILD : 0);
}

/* A pool of ours that is still there was left by a kill. */
static gboolean open_pool(struct trust *trust, gboolean build)
{
    virConnectPtr connection = trust->host->connection;
    trust->pool = virStoragePoolLookupByName(connection, POOL_NAME);
    if (trust->pool) {
        virStoragePoolDestroy(trust->pool);
        g_clear_pointer(&trust->pool, virStoragePoolFree);
    }
    trust->pool = virStoragePoolLookupByTargetPath(connection, trust->folder);
    trust->pool_is_ours = trust->pool == NULL;
    if (!trust->pool)
        trust->pool = make_pool(trust, build);
    return trust->pool != NULL;
}

static void close_pool(struct trust *trust)
{
    if (trust->pool && trust->pool_is_ours)
        virStoragePoolDestroy(trust->pool);
    g_clear_pointer(&trust->pool, virStoragePoolFree);
}

static gboolean find_folder(struct trust *trust, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        gboolean last = i + 1 == G_N_ELEMENTS(folders);
        trust->folder = folders[i];
        if (open_pool(trust, last))
            return TRUE;
    }
    return refused(trust, "open the folder", error);
}

/* --- files ---------------------------------------------------------------------------------------
 */

/* NULL without an error: there is no such file. The caller owns the text. */
static char *fetch(const struct trust *trust, const char *file, GError **error)
{
    g_autoptr(virStorageVol) volume = virStorageVolLookupByName(trust->pool, file);
    g_autofree char *text = g_malloc0(FILE_BYTES_MAX + 1);
    gsize length = 0;
    int got = 0;
    if (!volume)
        return NULL;
    g_autoptr(virStream) stream = virStreamNew(trust->host->connection, 0);
    if (!stream || virStorageVolDownload(volume, stream, 0, 0, 0) != 0) {
        refused(trust, "read a file", error);
        return NULL;
    }
    while (length < FILE_BYTES_MAX &&
           (got = virStreamRecv(stream, text + length, FILE_BYTES_MAX - length)) > 0)
        length += (gsize)got;
    if (got == 0 && virStreamFinish(stream) == 0)
        return g_steal_pointer(&text);
    refused(trust, "read a file", error);
    virStreamAbort(stream);
    return NULL;
}

static char *volume_xml(const struct trust *trust, const char *file, gsize length)
{
    g_autofree char *size = g_strdup_printf("%" G_GSIZE_FORMAT, length);
    g_autofree char *user = g_strdup_printf("%u", (unsigned)trust->user);
    g_autofree char *group = g_strdup_printf("%u", (unsigned)trust->group);
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr root = xmlNewNode(NULL, (const xmlChar *)"volume");
    xmlDocSetRootElement(document, root);
    snapshot_xml_child(root, "name", file);
    snapshot_xml_set(snapshot_xml_child(root, "capacity", size), "unit", "bytes");
    xmlNodePtr target = snapshot_xml_child(root, "target", NULL);
    snapshot_xml_set(snapshot_xml_child(target, "format", NULL), "type", "raw");
    xmlNodePtr permissions = snapshot_xml_child(target, "permissions", NULL);
    snapshot_xml_child(permissions, "mode", "0400");
    snapshot_xml_child(permissions, "owner", user);
    snapshot_xml_child(permissions, "group", group);
    return snapshot_xml_text(document);
}

static gboolean upload(const struct trust *trust, virStorageVolPtr volume, const char *text,
                       GError **error)
{
    gsize length = strlen(text), sent = 0;
    g_autoptr(virStream) stream = virStreamNew(trust->host->connection, 0);
    if (!stream || virStorageVolUpload(volume, stream, 0, length, 0) != 0)
        return refused(trust, "write a file", error);
    while (sent < length) {
        int count = virStreamSend(stream, text + sent, length - sent);
        if (count < 0) {
            refused(trust, "write a file", error);
            virStreamAbort(stream);
            return FALSE;
        }
        sent += (gsize)count;
    }
    return virStreamFinish(stream) == 0 || refused(trust, "write a file", error);
}

static gboolean put(const struct trust *trust, const char *file, const char *text, GError **error)
{
    g_autofree char *xml = volume_xml(trust, file, strlen(text));
    g_autoptr(virStorageVol) old = virStorageVolLookupByName(trust->pool, file);
    if (old && virStorageVolDelete(old, 0) != 0)
        return refused(trust, "replace a file", error);
    g_autoptr(virStorageVol) volume = virStorageVolCreateXML(trust->pool, xml, 0);
    return volume ? upload(trust, volume, text, error) : refused(trust, "make a file", error);
}

/* --- the step ------------------------------------------------------------------------------------
 */

/* What is there and not ours serves something else. */
static gboolean foreign(const struct trust *trust, const char *ours, const char *file,
                        GError **error)
{
    g_autofree char *hint =
        g_strdup_printf("remove %s/%s there if nothing uses it; or sign %s/client-cert.pem and the "
                        "server's beside it by the authority that is in use there",
                        trust->folder, file, ours);
    landfall_error_set(error, LANDFALL_ERROR_CONFIG, hint,
                       "host %s has certificates of another authority in %s", trust->host->name,
                       trust->folder);
    return FALSE;
}

/* Where the authority is ours, the client's files are, too, be they those of an older pair. */
static gboolean install(const struct trust *trust, const char *from, gboolean *ret_installed,
                        GError **error)
{
    gboolean known = FALSE;
    *ret_installed = FALSE;
    for (gsize k = 0; k < G_N_ELEMENTS(files); k++) {
        gsize i = (k + AUTHORITY) % G_N_ELEMENTS(files); /* the authority is looked at first */
        g_autoptr(GError) cause = NULL;
        g_autofree char *path = g_build_filename(from, files[i], NULL);
        g_autofree char *wanted = NULL;
        g_autofree char *there = fetch(trust, files[i], &cause);
        if (cause || !g_file_get_contents(path, &wanted, NULL, &cause)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        gboolean same = g_strcmp0(there, wanted) == 0;
        known |= same && i == AUTHORITY;
        if (there && !same && !known)
            return foreign(trust, from, files[i], error);
        if (same || i == AUTHORITY)
            continue;
        if (!put(trust, files[i], wanted, error))
            return FALSE;
        *ret_installed = TRUE;
    }
    if (known)
        return TRUE;
    g_autofree char *path = g_build_filename(from, files[AUTHORITY], NULL);
    g_autofree char *wanted = NULL;
    *ret_installed = TRUE;
    return g_file_get_contents(path, &wanted, NULL, error) &&
           put(trust, files[AUTHORITY], wanted, error);
}

static JsonObject *trust_at(const struct step_work *work, const struct step_host *host,
                            GError **error)
{
    struct trust trust = {.host = host};
    struct nbd_credentials credentials = {NULL, NULL, NULL};
    JsonObject *result = NULL;
    gboolean known, installed;
    if (step_host_qemu_user(host, &known, &trust.user, &trust.group, error) &&
        nbd_credentials_prepare(work, &credentials, error) && find_folder(&trust, error) &&
        install(&trust, credentials.client_folder, &installed, error)) {
        result = json_object_new();
        json_object_set_boolean_member(result, "needed", TRUE);
        json_object_set_string_member(result, "folder", trust.folder);
        json_object_set_boolean_member(result, "installed", installed);
    }
    close_pool(&trust);
    nbd_credentials_clear(&credentials);
    return result;
}

JsonObject *step_trust(const struct step_run *run, GError **error)
{
    struct step_host host;
    JsonObject *result = NULL;
    if (!step_host_open_target(run->work, &host, error))
        return NULL;
    if (run->work->reach == STEP_REACH_NBD && !host.local) {
        result = trust_at(run->work, &host, error);
    } else {
        result = json_object_new();
        json_object_set_boolean_member(result, "needed", FALSE);
    }
    step_host_close(&host);
    return result;
}
