/* SPDX-License-Identifier: Apache-2.0 */

/* serve, unserve: the operation's overlays as NBD exports that its machine at the target writes to.
 * A target on this machine gets a unix socket that belongs to QEMU's user; any other gets TCP with
 * TLS, and certificates on both sides. Serving again keeps the address.
 *
 *   serve → { "disks": [ { "name": TEXT, "size_bytes": N, "export": TEXT,
 *                          "transport": "tcp" | "unix", "host": TEXT, "port": N, "socket": PATH,
 *                          "tls": true | false, "tls_hostname": TEXT } … ],
 *             "server": { "pid": N, "started": true | false } }
 *   unserve → { "stopped": true | false } */

#include "appliance/steps/serve.h"
#include "appliance/steps/replica.h"
#include "appliance/steps/steps.h"
#include "base/json.h"
#include "replicator/store-hold.h"

#include <unistd.h>

#define RESUME_TRIES 100u
#define RESUME_POLL_MS 400u

char *serve_folder(const struct step_work *work, gboolean *ret_gone, GError **error)
{
    g_autofree char *owner = step_work_owner(work);
    struct opened_machine opened;
    if (!step_replica_open(work, &opened, ret_gone, error))
        return NULL;
    char *folder = *ret_gone ? NULL : store_hold_folder(opened.machine, owner);
    opened_machine_close(&opened);
    return folder;
}

JsonArray *serve_disks(const struct step_work *work, GError **error)
{
    JsonObject *fact = step_work_fact(work, "clone");
    JsonArray *disks = NULL;
    if (!fact)
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "work: there is no fact 'clone'");
    else
        json_member_array(fact, "disks", LANDFALL_ERROR_CONFIG, &disks, error);
    return disks;
}

/* NULL-terminated; the strings are the facts'. */
static const char **disk_names(const struct step_work *work, GError **error)
{
    JsonArray *disks = serve_disks(work, error);
    guint count = disks ? json_array_get_length(disks) : 0;
    g_autofree const char **names = g_new0(const char *, count + 1);
    for (guint i = 0; i < count; i++) {
        JsonObject *disk;
        if (!json_element_object(disks, i, "disk", LANDFALL_ERROR_CONFIG, &disk, error) ||
            !json_member_string(disk, "name", LANDFALL_ERROR_CONFIG, &names[i], error))
            return NULL;
    }
    return disks ? g_steal_pointer(&names) : NULL;
}

/* For the host that the URI leads to. What the operator names may be the address of a router: then
 * the server listens everywhere. */
static gboolean prepare_tcp(const struct step_work *work, struct nbd_serving *serving,
                            struct nbd_credentials *credentials, struct nbd_address *wanted,
                            GError **error)
{
    const char *named = json_find_string(json_find_object(work->json, "nbd"), "address");
    wanted->host = named ? g_strdup(named) : nbd_address_towards(work->target_uri, error);
    serving->bind_host = named ? NULL : wanted->host;
    serving->credentials = credentials;
    return wanted->host && nbd_credentials_prepare(work, credentials, error);
}

static gboolean prepare_unix(const struct step_host *host, struct nbd_serving *serving,
                             struct nbd_address *wanted, GError **error)
{
    gboolean known;
    if (!step_host_qemu_user(host, &known, &serving->user, &serving->group, error))
        return FALSE;
    if (!known)
        serving->user = geteuid();
    wanted->socket = nbd_address_socket_path(serving->folder, error);
    return wanted->socket != NULL;
}

gboolean serve_ensure(const struct step_work *work, const struct step_host *host,
                      const char *folder, struct nbd_address *ret_address, gboolean *ret_started,
                      GError **error)
{
    struct nbd_credentials credentials = {NULL, NULL, NULL};
    struct nbd_address wanted = {NULL, 0, NULL};
    g_autofree const char **names = disk_names(work, error);
    if (!names)
        return FALSE;
    struct nbd_serving serving = {.folder = folder, .disks = names};
    gboolean ok = (host->local ? prepare_unix(host, &serving, &wanted, error)
                               : prepare_tcp(work, &serving, &credentials, &wanted, error)) &&
                  nbd_server_ensure(&serving, &wanted, ret_address, ret_started, error);
    nbd_address_clear(&wanted);
    nbd_credentials_clear(&credentials);
    return ok;
}

static JsonObject *disk_result(JsonObject *disk, const struct nbd_address *address)
{
    JsonObject *result = json_object_new();
    const char *name = json_object_get_string_member(disk, "name");
    gint64 size = json_object_get_int_member_with_default(disk, "size_bytes", 0);
    json_object_set_string_member(result, "name", name);
    json_object_set_int_member(result, "size_bytes", size);
    json_object_set_string_member(result, "export", name);
    json_object_set_string_member(result, "transport", address->host ? "tcp" : "unix");
    if (address->host) {
        json_object_set_string_member(result, "host", address->host);
        json_object_set_int_member(result, "port", address->port);
        json_object_set_string_member(result, "tls_hostname", NBD_TLS_HOSTNAME);
    } else {
        json_object_set_string_member(result, "socket", address->socket);
    }
    json_object_set_boolean_member(result, "tls", address->host != NULL);
    return result;
}

static JsonObject *serve_result(const struct step_work *work, const char *folder,
                                const struct nbd_address *address, gboolean started)
{
    JsonArray *disks = serve_disks(work, NULL), *results = json_array_new();
    JsonObject *result = json_object_new(), *server = json_object_new();
    for (guint i = 0; i < json_array_get_length(disks); i++)
        json_array_add_object_element(
            results, disk_result(json_array_get_object_element(disks, i), address));
    json_object_set_int_member(server, "pid", nbd_server_find(folder));
    json_object_set_boolean_member(server, "started", started);
    json_object_set_array_member(result, "disks", results);
    json_object_set_object_member(result, "server", server);
    return result;
}

/* --- the machine on it ---------------------------------------------------------------------------
 */

gboolean serve_let_go_on(virDomainPtr domain)
{
    int state = 0, reason = 0;
    if (virDomainGetState(domain, &state, &reason, 0) != 0 || state != VIR_DOMAIN_PAUSED ||
        reason != VIR_DOMAIN_PAUSED_IOERROR)
        return TRUE;
    virDomainResume(domain);
    return FALSE;
}

/* QEMU looks for the server again after 1, 2, 4, 8, 16 s; until it has found it, each try ends
 * where it began. Twice in a row: the first answer may come before the machine has tried to write.
 */
static gboolean let_go_on(const struct step_run *run, const struct step_host *host, GError **error)
{
    virDomainPtr domain = NULL;
    guint calm = 0;
    gboolean ok = TRUE;
    if (!step_host_find_machine(host, run->work, &domain, error))
        return FALSE;
    for (guint tries = 0; ok && domain && calm < 2 && tries < RESUME_TRIES; tries++) {
        calm = serve_let_go_on(domain) ? calm + 1 : 0;
        ok = calm == 2 || step_wait(run, RESUME_POLL_MS, error);
    }
    if (ok && domain && calm < 2)
        step_warn(run, "machine %s has not found its disks again yet: virsh resume lets it try",
                  virDomainGetName(domain));
    g_clear_pointer(&domain, virDomainFree);
    return ok;
}

JsonObject *step_serve(const struct step_run *run, GError **error)
{
    struct nbd_address address = {NULL, 0, NULL};
    struct step_host host;
    gboolean gone = FALSE, started;
    JsonObject *result = NULL;
    g_autofree char *folder = serve_folder(run->work, &gone, error);
    if (gone)
        landfall_error_set(error, LANDFALL_ERROR_MISSING, NULL,
                           "the store has no machine '%s' any more", run->work->machine_name);
    if (!folder || !step_host_open_target(run->work, &host, error))
        return NULL;
    if (serve_ensure(run->work, &host, folder, &address, &started, error) &&
        let_go_on(run, &host, error))
        result = serve_result(run->work, folder, &address, started);
    step_host_close(&host);
    nbd_address_clear(&address);
    return result;
}

JsonObject *step_unserve(const struct step_run *run, GError **error)
{
    gboolean gone, stopped = FALSE;
    g_autoptr(GError) cause = NULL;
    g_autofree char *folder = serve_folder(run->work, &gone, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    if (folder && !nbd_server_stop(folder, &stopped, error))
        return NULL;
    JsonObject *result = json_object_new();
    json_object_set_boolean_member(result, "stopped", stopped);
    return result;
}
