/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/credentials.h"
#include "appliance/state/hosts.h"
#include "appliance/state/secrets.h"
#include "base/error.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

static char *keys_folder(const char *runtime_dir)
{
    return g_build_filename(runtime_dir, "keys", NULL);
}

/* The path of the file, owned by the caller. */
static char *write_key(const char *runtime_dir, const char *host, GBytes *key, GError **error)
{
    g_autofree char *folder = keys_folder(runtime_dir);
    g_autofree char *path = g_build_filename(folder, host, NULL);
    g_autoptr(GError) cause = NULL;
    gsize length;
    const char *text = g_bytes_get_data(key, &length);
    if (g_mkdir(folder, 0700) != 0 && errno != EEXIST) {
        landfall_error_set_errno(error, LANDFALL_ERROR_INTERNAL, errno, NULL,
                                 "cannot create the folder %s", folder);
        return NULL;
    }
    if (!g_file_set_contents_full(path, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
                                  &cause)) {
        landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL,
                           "cannot write the key of host %s: %s", host, cause->message);
        return NULL;
    }
    return g_steal_pointer(&path);
}

/* As libvirt reads it: parameters of the same name replace each other. */
static char *add_parameter(const char *uri, const char *name, const char *value)
{
    g_autofree char *escaped = g_uri_escape_string(value, "/", FALSE);
    return g_strdup_printf("%s%c%s=%s", uri, strchr(uri, '?') ? '&' : '?', name, escaped);
}

static gboolean is_ssh(GUri *uri)
{
    const char *scheme = g_uri_get_scheme(uri);
    return g_str_has_suffix(scheme, "+ssh") || g_str_has_suffix(scheme, "+libssh") ||
           g_str_has_suffix(scheme, "+libssh2");
}

static gboolean add_ssh(struct state *state, const char *runtime_dir, const char *host,
                        const char *owner, struct credentials *credentials, GError **error)
{
    g_autoptr(GBytes) key = NULL;
    if (!state_secret_get(state, owner, "ssh-key", &key, error))
        return FALSE;
    g_autofree char *path = key ? write_key(runtime_dir, host, key, error) : NULL;
    if (key && !path)
        return FALSE;
    g_autofree char *given = g_steal_pointer(&credentials->uri);
    g_autofree char *quiet = add_parameter(given, "no_tty", "1");
    credentials->uri = path ? add_parameter(quiet, "keyfile", path) : g_steal_pointer(&quiet);
    return TRUE;
}

struct credentials *credentials_load(struct state *state, const char *runtime_dir, const char *host,
                                     GError **error)
{
    struct state_host *known = state_host_get(state, host, error);
    if (!known)
        return NULL;
    struct credentials *credentials = g_new0(struct credentials, 1);
    g_autofree char *owner = g_strconcat("host/", host, NULL);
    /* A URI that is none is libvirt's to refuse. */
    g_autoptr(GUri) uri = g_uri_parse(known->uri, G_URI_FLAGS_HAS_PASSWORD, NULL);
    credentials->uri = g_strdup(known->uri);
    credentials->user = g_strdup(uri ? g_uri_get_user(uri) : NULL);
    state_host_free(known);
    if (state_secret_get(state, owner, "password", &credentials->password, error) &&
        (!uri || !is_ssh(uri) || add_ssh(state, runtime_dir, host, owner, credentials, error)))
        return credentials;
    credentials_free(credentials);
    return NULL;
}

void credentials_free(struct credentials *credentials)
{
    g_free(credentials->uri);
    g_free(credentials->user);
    g_clear_pointer(&credentials->password, g_bytes_unref);
    g_free(credentials);
}

void credentials_forget(const char *runtime_dir, const char *host)
{
    g_autofree char *folder = keys_folder(runtime_dir);
    g_autoptr(GDir) keys = g_dir_open(folder, 0, NULL);
    const char *name;
    while (keys && (name = g_dir_read_name(keys))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!host || g_strcmp0(name, host) == 0)
            g_unlink(path);
    }
}
