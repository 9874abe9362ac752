/* SPDX-License-Identifier: Apache-2.0 */

/* What libvirt says in XML: the definition of a machine, of a checkpoint, of a backup job. Each
 * input is taken as all of them. The definitions that are made from it, of a backup and its
 * checkpoint, are XML again and have the same disks. */

#include "snapshot/definition.h"
#include "snapshot/snapshot-private.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

static void look_at_job(const struct snapshot_machine *machine, xmlDocPtr document)
{
    g_autoptr(GPtrArray) paths = snapshot_job_paths(document);
    for (guint i = 0; i < paths->len; i++)
        snapshot_file_is_ours(machine, "0123456789ab", paths->pdata[i]);
}

static void look_at_checkpoint(xmlDocPtr document)
{
    g_autoptr(GHashTable) usable = snapshot_checkpoint_usable_parse(document);
    g_autoptr(GList) names = g_hash_table_get_keys(usable);
    for (const GList *name = names; name; name = name->next)
        g_assert_cmpuint(strlen(name->data), >, 0);
}

static void expect_disks(const struct snapshot_machine *machine, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the definition", &error);
    g_assert_no_error(error);
    g_autoptr(GPtrArray) nodes = snapshot_xml_nodes(document, NULL, "/*/disks/disk");
    g_assert_cmpuint(nodes->len, ==, machine->disks->len);
    for (guint i = 0; i < nodes->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        g_autofree char *name = snapshot_xml_string(document, nodes->pdata[i], "string(./@name)");
        g_assert_cmpstr(name ? name : "", ==, disk->public.name);
    }
}

static void look_at_facts(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) facts = snapshot_definition_facts(text, &error);
    g_assert_no_error(error);
    g_assert_true(json_object_has_member(facts, "disks"));
}

static void decision_free(struct disk_decision *decision)
{
    g_free(decision->scratch_path);
    g_free(decision);
}

/* A full backup of all disks that can have one. */
static void back_up(const struct snapshot_machine *machine)
{
    g_autoptr(GPtrArray) decisions = g_ptr_array_new_with_free_func((GDestroyNotify)decision_free);
    for (guint i = 0; i < machine->disks->len; i++) {
        const struct machine_disk *disk = machine->disks->pdata[i];
        g_assert_nonnull(disk->public.name);
        g_assert_nonnull(disk->public.format);
        g_assert_nonnull(disk->public.source);
        if (disk->public.unsupported_reason)
            continue;
        struct disk_decision *decision = g_new0(struct disk_decision, 1);
        decision->disk = disk;
        decision->checkpoint = !disk->public.no_bitmap_cause;
        decision->scratch_path = g_strconcat(disk->public.source, ".scratch", NULL);
        g_ptr_array_add(decisions, decision);
    }
    g_autofree char *backup = snapshot_backup_xml(machine, decisions, "/run/landfall.sock");
    g_autofree char *checkpoint = snapshot_checkpoint_xml(machine, decisions, "landfall-1");
    expect_disks(machine, backup);
    if (checkpoint)
        expect_disks(machine, checkpoint);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    struct snapshot_machine machine = {.tag = (char *)"12345678"};
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strndup((const char *)data, length);
    g_autoptr(xmlDoc) document = snapshot_xml_parse(text, "the input", &error);
    g_assert_true(!document == !!error);
    if (!document)
        return 0;
    g_assert_null(document->intSubset); /* no entities: they can blow up */
    look_at_job(&machine, document);
    look_at_checkpoint(document);
    look_at_facts(text);
    machine.disks = snapshot_machine_disks_parse(text, &error);
    g_assert_no_error(error);
    back_up(&machine);
    g_ptr_array_unref(machine.disks);
    return 0;
}
