/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what this room leaves on a host for a while. A name is the only thing that tells ours
 * from others' after a crash, so it says which store made it, and for files, which machine:
 *
 *   checkpoint  landfall-<store_id>-<number>-<tag>-<random>
 *   scratch     landfall-<store_id>-<number>-<tag>-<random>-<disk>.qcow2
 *   socket      landfall-<store_id>-<tag>-<random>.sock       (short: a socket's path is limited)
 *
 * <tag> is a hash of the machine's UUID: several machines of one store share scratch folders, and
 * cleaning up after one must not touch what belongs to another. */
#include "snapshot/snapshot-private.h"

#include <string.h>

#define TAG_PATTERN "[0-9a-f]{8}"
#define RANDOM_PATTERN "[0-9a-f]{6}"

gboolean snapshot_store_id_check(const char *store_id, GError **error)
{
    if (store_id && strlen(store_id) <= SNAPSHOT_STORE_ID_LENGTH_MAX &&
        g_regex_match_simple("^[A-Za-z0-9][A-Za-z0-9_.-]*$", store_id, G_REGEX_DOLLAR_ENDONLY, 0))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_CONFIG,
                       "letters, digits, '-', '_' and '.', no more than 40",
                       "\"%s\" cannot be the identity of a store", store_id ? store_id : "");
    return FALSE;
}

char *snapshot_machine_tag(const char *uuid)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, uuid, -1);
    return g_strndup(hash, 8);
}

char *snapshot_stem_new(const struct snapshot_machine *machine, const char *store_id,
                        guint64 number)
{
    return g_strdup_printf("landfall-%s-%06" G_GUINT64_FORMAT "-%s-%06x", store_id, number,
                           machine->tag, g_random_int() & 0xffffff);
}

char *snapshot_socket_name(const struct snapshot_machine *machine, const char *store_id)
{
    return g_strdup_printf("landfall-%s-%s-%06x.sock", store_id, machine->tag,
                           g_random_int() & 0xffffff);
}

gboolean snapshot_checkpoint_is_ours(const char *name, const char *store_id)
{
    g_autofree char *escaped = g_regex_escape_string(store_id, -1);
    g_autofree char *pattern =
        g_strdup_printf("^landfall-%s-[0-9]{6,}-" TAG_PATTERN "-" RANDOM_PATTERN, escaped);
    return g_regex_match_simple(pattern, name, 0, 0);
}

char *snapshot_checkpoint_store(const char *name)
{
    g_autoptr(GRegex) pattern = g_regex_new(
        "^landfall-([A-Za-z0-9][A-Za-z0-9_.-]*)-[0-9]{6,}-" TAG_PATTERN "-" RANDOM_PATTERN "$",
        G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    return g_regex_match(pattern, name, 0, &match) ? g_match_info_fetch(match, 1) : NULL;
}

gboolean snapshot_file_is_ours(const struct snapshot_machine *machine, const char *store_id,
                               const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *escaped = g_regex_escape_string(store_id, -1);
    g_autofree char *pattern = g_strdup_printf("^landfall-%s-([0-9]{6,}-%s-" RANDOM_PATTERN
                                               "-[^/]+\\.qcow2|%s-" RANDOM_PATTERN "\\.sock)$",
                                               escaped, machine->tag, machine->tag);
    return g_regex_match_simple(pattern, name, G_REGEX_DOLLAR_ENDONLY, 0);
}
