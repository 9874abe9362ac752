/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/fence.h"
#include "snapshot/xml.h"

#include <string.h>

#define FENCE_URI "urn:landfall:fence"
#define FENCE_PREFIX "landfall"

void snapshot_fence_free(struct snapshot_fence *fence)
{
    if (!fence)
        return;
    g_free(fence->owner);
    g_free(fence->target);
    g_free(fence->since);
    g_free(fence->title);
    g_free(fence->disks);
    g_free(fence);
}

/* --- the note ------------------------------------------------------------------------------------
 */

static char *note_text(const struct snapshot_fence *fence)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr node = xmlNewNode(NULL, (const xmlChar *)"fence");
    xmlDocSetRootElement(document, node);
    snapshot_xml_set(node, "owner", fence->owner);
    snapshot_xml_set(node, "target", fence->target);
    snapshot_xml_set(node, "since", fence->since);
    snapshot_xml_set(node, "state", fence->gone ? "gone" : "leaving");
    snapshot_xml_set(node, "autostart", fence->autostart ? "yes" : "no");
    if (fence->title)
        snapshot_xml_set(node, "title", fence->title);
    if (fence->point) {
        g_autofree char *point = g_strdup_printf("%" G_GUINT64_FORMAT, fence->point);
        snapshot_xml_set(node, "point", point);
    }
    if (fence->disks)
        snapshot_xml_set(node, "disks", fence->disks);
    return snapshot_xml_text(document);
}

static struct snapshot_fence *note_parse(const char *text, GError **error)
{
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the note of a move", error);
    if (!document)
        return NULL;
    struct snapshot_fence *fence = g_new0(struct snapshot_fence, 1);
    fence->owner = snapshot_xml_string(document, NULL, "string(/*/@owner)");
    fence->target = snapshot_xml_string(document, NULL, "string(/*/@target)");
    fence->since = snapshot_xml_string(document, NULL, "string(/*/@since)");
    fence->title = snapshot_xml_string(document, NULL, "string(/*/@title)");
    fence->disks = snapshot_xml_string(document, NULL, "string(/*/@disks)");
    g_autofree char *point = snapshot_xml_string(document, NULL, "string(/*/@point)");
    if (point)
        g_ascii_string_to_unsigned(point, 10, 0, G_MAXINT64, &fence->point, NULL);
    fence->gone = snapshot_xml_holds(document, NULL, "/*/@state = 'gone'");
    fence->autostart = snapshot_xml_holds(document, NULL, "/*/@autostart = 'yes'");
    if (fence->owner && fence->target && fence->since)
        return fence;
    snapshot_fence_free(fence);
    landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                       "see <metadata> in virsh edit of the machine on its host",
                       "the note of a move in the machine's definition is not whole");
    return NULL;
}

/* An error about the machine that names it. */
static void set_error(virDomainPtr domain, const char *doing, GError **error)
{
    snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL, "machine %s: cannot %s",
                               virDomainGetName(domain), doing);
}

gboolean snapshot_fence_read(virDomainPtr domain, struct snapshot_fence **ret_fence, GError **error)
{
    char *text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, FENCE_URI,
                                      VIR_DOMAIN_AFFECT_CONFIG);
    int code = text ? VIR_ERR_OK : virGetLastErrorCode();
    /* A machine without a persistent definition has no place for a note. */
    if (code == VIR_ERR_NO_DOMAIN_METADATA ||
        (code == VIR_ERR_OPERATION_INVALID && virDomainIsPersistent(domain) == 0)) {
        *ret_fence = NULL;
        return TRUE;
    }
    if (!text) {
        set_error(domain, "read the metadata", error);
        return FALSE;
    }
    struct snapshot_fence *fence = note_parse(text, error);
    free(text);
    if (!fence) {
        g_prefix_error(error, "machine %s: ", virDomainGetName(domain));
        return FALSE;
    }
    *ret_fence = fence;
    return TRUE;
}

static gboolean note_write(virDomainPtr domain, const struct snapshot_fence *fence, GError **error)
{
    g_autofree char *text = note_text(fence);
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, FENCE_PREFIX, FENCE_URI,
                             VIR_DOMAIN_AFFECT_CONFIG) == 0)
        return TRUE;
    set_error(domain, "leave a note in the metadata", error);
    return FALSE;
}

/* The running definition of a machine that was started with the note has a copy of it. */
static gboolean note_remove(virDomainPtr domain, GError **error)
{
    if (virDomainIsActive(domain) == 1)
        virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, FENCE_URI,
                             VIR_DOMAIN_AFFECT_LIVE);
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, FENCE_URI,
                             VIR_DOMAIN_AFFECT_CONFIG) == 0 ||
        virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
        return TRUE;
    set_error(domain, "remove our note from the metadata", error);
    return FALSE;
}

/* --- title and autostart -------------------------------------------------------------------------
 */

static gboolean set_title(virDomainPtr domain, const char *title, GError **error)
{
    if (virDomainIsActive(domain) == 1)
        virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, title, NULL, NULL,
                             VIR_DOMAIN_AFFECT_LIVE);
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, title, NULL, NULL,
                             VIR_DOMAIN_AFFECT_CONFIG) == 0)
        return TRUE;
    set_error(domain, "set the title", error);
    return FALSE;
}

static gboolean stamp_title(virDomainPtr domain, const struct snapshot_fence *fence, GError **error)
{
    g_autofree char *day = g_strndup(fence->since, strlen("2000-01-01"));
    g_autofree char *title =
        g_strdup_printf("[moved to %s on %s by Landfall: do not start]%s%s", fence->target, day,
                        fence->title ? " " : "", fence->title ? fence->title : "");
    return set_title(domain, title, error);
}

static gboolean set_autostart(virDomainPtr domain, gboolean autostart, GError **error)
{
    if (virDomainSetAutostart(domain, autostart) == 0)
        return TRUE;
    set_error(domain, autostart ? "switch autostart on" : "switch autostart off", error);
    return FALSE;
}

/* --- raise, drop, check --------------------------------------------------------------------------
 */

static char *title_now(virDomainPtr domain)
{
    char *text =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, NULL, VIR_DOMAIN_AFFECT_CONFIG);
    char *copy = text && *text ? g_strdup(text) : NULL;
    free(text);
    return copy;
}

static struct snapshot_fence *fence_new(virDomainPtr domain, GError **error)
{
    int autostart = 0;
    if (virDomainIsPersistent(domain) == 0) {
        landfall_error_set(error, LANDFALL_ERROR_UNSUPPORTED,
                           "define it on its host: virsh dumpxml, then virsh define",
                           "machine %s has no persistent definition: once it is off, there is no "
                           "way back",
                           virDomainGetName(domain));
        return NULL;
    }
    if (virDomainGetAutostart(domain, &autostart) < 0) {
        set_error(domain, "learn whether it starts with its host", error);
        return NULL;
    }
    struct snapshot_fence *fence = g_new0(struct snapshot_fence, 1);
    fence->autostart = autostart != 0;
    fence->title = title_now(domain);
    return fence;
}

static gboolean refuse(const struct snapshot_fence *fence, const char *name, GError **error)
{
    landfall_error_set(error, LANDFALL_ERROR_CONFLICT,
                       "landfall rollback brings it back; it must not run here as long as it "
                       "does there",
                       "machine %s was moved to host %s (operation %s, %s)", name, fence->target,
                       fence->owner, fence->since);
    return FALSE;
}

/* Marks what the fence is to say now. TRUE when that is news. */
static gboolean update(struct snapshot_fence *fence, const char *owner, const char *target,
                       gboolean gone)
{
    if (g_strcmp0(fence->owner, owner) == 0 && (fence->gone || !gone))
        return FALSE;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_free(fence->owner);
    g_free(fence->target);
    g_free(fence->since);
    fence->owner = g_strdup(owner);
    fence->target = g_strdup(target);
    fence->since = g_date_time_format_iso8601(now);
    fence->gone = gone;
    fence->point = 0;
    g_clear_pointer(&fence->disks, g_free);
    return TRUE;
}

gboolean snapshot_fence_raise(virDomainPtr domain, const char *owner, const char *target,
                              gboolean gone, struct snapshot_fence **ret_fence, GError **error)
{
    struct snapshot_fence *fence = NULL;
    if (!snapshot_fence_read(domain, &fence, error))
        return FALSE;
    gboolean ok = TRUE;
    if (fence && fence->gone && strcmp(fence->owner, owner) != 0)
        ok = refuse(fence, virDomainGetName(domain), error);
    else if (!fence)
        ok = (fence = fence_new(domain, error)) != NULL;
    /* The note first: from then on it is known what to put back. */
    if (ok && update(fence, owner, target, gone))
        ok = note_write(domain, fence, error);
    ok = ok && set_autostart(domain, FALSE, error) &&
         (!fence->gone || stamp_title(domain, fence, error));
    if (ok)
        *ret_fence = fence;
    else
        snapshot_fence_free(fence);
    return ok;
}

gboolean snapshot_fence_note_disks(virDomainPtr domain, guint64 point, const char *disks,
                                   GError **error)
{
    struct snapshot_fence *fence = NULL;
    if (!snapshot_fence_read(domain, &fence, error))
        return FALSE;
    gboolean gone = fence && fence->gone;
    if (!gone)
        landfall_error_set(error, LANDFALL_ERROR_CONFLICT, NULL,
                           "machine %s is not marked as moved away", virDomainGetName(domain));
    if (gone) {
        g_free(fence->disks);
        fence->point = point;
        fence->disks = g_strdup(disks);
    }
    gboolean ok = gone && note_write(domain, fence, error);
    snapshot_fence_free(fence);
    return ok;
}

gboolean snapshot_fence_drop(virDomainPtr domain, struct snapshot_fence **ret_fence, GError **error)
{
    struct snapshot_fence *fence = NULL;
    if (!snapshot_fence_read(domain, &fence, error))
        return FALSE;
    if (!fence || ((!fence->gone || set_title(domain, fence->title, error)) &&
                   set_autostart(domain, fence->autostart, error) && note_remove(domain, error))) {
        *ret_fence = fence;
        return TRUE;
    }
    snapshot_fence_free(fence);
    return FALSE;
}

gboolean snapshot_fence_check(virDomainPtr domain, const char *name, GError **error)
{
    struct snapshot_fence *fence = NULL;
    if (!snapshot_fence_read(domain, &fence, error))
        return FALSE;
    gboolean ok = !fence || !fence->gone || refuse(fence, name, error);
    snapshot_fence_free(fence);
    return ok;
}
