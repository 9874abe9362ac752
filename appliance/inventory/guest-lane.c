/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/guest-lane.h"
#include "base/json.h"
#include "snapshot/definition.h"
#include "snapshot/libvirt.h"

#include <sys/statvfs.h>

struct guests {
    virConnectPtr connection;
    gboolean local;
    guint deadline_ms;
    const struct guest_receivers *receivers;
};

static void guests_free(gpointer data)
{
    struct guests *guests = data;
    virConnectClose(guests->connection);
    g_free(guests);
}

static void answer_free(gpointer data)
{
    struct guest_answer *answer = data;
    g_free(answer->uuid);
    g_clear_pointer(&answer->facts, json_object_unref);
    g_clear_pointer(&answer->usage, json_object_unref);
    g_free(answer);
}

static struct guest_answer *answer_new(const char *uuid)
{
    struct guest_answer *answer = g_new0(struct guest_answer, 1);
    answer->uuid = g_strdup(uuid);
    answer->facts = json_object_new();
    return answer;
}

/* --- sizes ---------------------------------------------------------------------------------------
 */

static guint64 block_number(virTypedParameterPtr parameters, int count, guint index,
                            const char *member)
{
    g_autofree char *name = g_strdup_printf("block.%u.%s", index, member);
    unsigned long long value = 0;
    virTypedParamsGetULLong(parameters, count, name, &value);
    return value;
}

static void set_sizes(struct guest_answer *answer, virTypedParameterPtr parameters, int count)
{
    unsigned disks = 0;
    JsonObject *usage = json_object_new();
    virTypedParamsGetUInt(parameters, count, "block.count", &disks);
    for (unsigned i = 0; i < disks; i++) {
        g_autofree char *field = g_strdup_printf("block.%u.name", i);
        const char *name = NULL;
        if (virTypedParamsGetString(parameters, count, field, &name) != 1)
            continue;
        guint64 capacity = block_number(parameters, count, i, "capacity");
        if (capacity)
            json_object_set_int_member(answer->facts, name, (gint64)capacity);
        JsonObject *disk = json_object_new();
        json_object_set_int_member(disk, "allocation_bytes",
                                   (gint64)block_number(parameters, count, i, "allocation"));
        json_object_set_object_member(usage, name, disk);
    }
    json_object_set_object_member(answer->usage, "disks", usage);
}

/* Of a folder on the host; FALSE: nobody can tell from here. */
static gboolean folder_free_bytes(struct guests *guests, const char *folder, guint64 *ret_bytes)
{
    struct statvfs room;
    if (guests->local) {
        if (statvfs(folder, &room) != 0)
            return FALSE;
        *ret_bytes = (guint64)room.f_bavail * room.f_frsize;
        return TRUE;
    }
    virStoragePoolPtr pool = virStoragePoolLookupByTargetPath(guests->connection, folder);
    virStoragePoolInfo info;
    gboolean known = pool && virStoragePoolGetInfo(pool, &info) == 0;
    if (known)
        *ret_bytes = info.available;
    if (pool)
        virStoragePoolFree(pool);
    return known;
}

static void set_folders(struct guests *guests, struct guest_answer *answer, virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(JsonObject) facts = xml ? snapshot_definition_facts(xml, NULL) : NULL;
    free(xml);
    JsonObject *folders = json_object_new();
    JsonArray *disks = facts ? json_object_get_array_member(facts, "disks") : NULL;
    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        const char *folder = json_object_get_string_member_with_default(disk, "folder", NULL);
        guint64 free_bytes = 0;
        if (!folder || !json_object_get_boolean_member(disk, "supported") ||
            json_object_has_member(folders, folder) ||
            !folder_free_bytes(guests, folder, &free_bytes))
            continue;
        JsonObject *room = json_object_new();
        json_object_set_int_member(room, "free_bytes", (gint64)free_bytes);
        json_object_set_object_member(folders, folder, room);
    }
    json_object_set_object_member(answer->usage, "folders", folders);
}

/* NOWAIT: when another job holds the machine, what is known of it is good enough. */
static void read_stats(virDomainPtr domain, struct guest_answer *answer)
{
    virDomainPtr domains[] = {domain, NULL};
    virDomainStatsRecordPtr *records = NULL;
    int count = virDomainListGetStats(domains, VIR_DOMAIN_STATS_BLOCK, &records,
                                      VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (count > 0)
        set_sizes(answer, records[0]->params, records[0]->nparams);
    if (count >= 0)
        virDomainStatsRecordListFree(records);
}

static void job_sizes(struct lane *lane, gpointer context, const char *uuid)
{
    struct guests *guests = context;
    if (!lane_step(lane, "the disks' sizes", guests->deadline_ms))
        return;
    g_autoptr(virDomain) domain = virDomainLookupByUUIDString(guests->connection, uuid);
    if (!domain)
        return;
    struct guest_answer *answer = answer_new(uuid);
    answer->usage = json_object_new();
    read_stats(domain, answer);
    if (lane_step(lane, "the room beside its disks", guests->deadline_ms))
        set_folders(guests, answer, domain);
    lane_post(lane, guests->receivers->sizes, answer, answer_free);
}

/* --- the agent -----------------------------------------------------------------------------------
 */

static const char *text_parameter(virTypedParameterPtr parameters, int count, const char *name)
{
    const char *text = NULL;
    virTypedParamsGetString(parameters, count, name, &text);
    return text;
}

static void set_os(JsonObject *facts, virTypedParameterPtr parameters, int count)
{
    static const char *const members[][2] = {
        {"id", "os.id"},
        {"name", "os.pretty-name"},
        {"version", "os.version-id"},
        {"kernel", "os.kernel-release"},
    };
    JsonObject *os = json_object_new();
    for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
        json_set_optional_string(os, members[i][0],
                                 text_parameter(parameters, count, members[i][1]));
    json_object_set_object_member(facts, "os", os);
}

static void set_hostname(JsonObject *facts, virTypedParameterPtr parameters, int count)
{
    json_set_optional_string(facts, "hostname", text_parameter(parameters, count, "hostname"));
}

static const char *indexed(virTypedParameterPtr parameters, int count, guint index,
                           const char *member)
{
    g_autofree char *name = g_strdup_printf("fs.%u.%s", index, member);
    return text_parameter(parameters, count, name);
}

static JsonArray *disks_of(virTypedParameterPtr parameters, int count, guint index)
{
    JsonArray *disks = json_array_new();
    g_autofree char *field = g_strdup_printf("fs.%u.disk.count", index);
    unsigned disk_count = 0;
    virTypedParamsGetUInt(parameters, count, field, &disk_count);
    for (guint i = 0; i < disk_count; i++) {
        g_autofree char *member = g_strdup_printf("disk.%u.alias", i);
        const char *alias = indexed(parameters, count, index, member);
        if (alias)
            json_array_add_string_element(disks, alias);
    }
    return disks;
}

static void set_file_systems(JsonObject *facts, virTypedParameterPtr parameters, int count)
{
    unsigned systems = 0;
    JsonArray *array = json_array_new();
    virTypedParamsGetUInt(parameters, count, "fs.count", &systems);
    for (guint i = 0; i < systems; i++) {
        g_autofree char *field = g_strdup_printf("fs.%u.total-bytes", i);
        unsigned long long total = 0;
        JsonObject *system = json_object_new();
        json_set_optional_string(system, "mount", indexed(parameters, count, i, "mountpoint"));
        json_set_optional_string(system, "type", indexed(parameters, count, i, "fstype"));
        if (virTypedParamsGetULLong(parameters, count, field, &total) == 1)
            json_object_set_int_member(system, "total_bytes", (gint64)total);
        json_object_set_array_member(system, "disks", disks_of(parameters, count, i));
        json_array_add_object_element(array, system);
    }
    json_object_set_array_member(facts, "file_systems", array);
}

/* One kind at a time: an agent that does not know one refuses all that is asked with it. */
static void ask_agent(virDomainPtr domain, struct lane *lane, guint deadline_ms,
                      struct guest_answer *answer)
{
    static const struct {
        unsigned type;
        void (*set)(JsonObject *facts, virTypedParameterPtr parameters, int count);
    } kinds[] = {
        {VIR_DOMAIN_GUEST_INFO_HOSTNAME, set_hostname},
        {VIR_DOMAIN_GUEST_INFO_OS, set_os},
        {VIR_DOMAIN_GUEST_INFO_FILESYSTEM, set_file_systems},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        virTypedParameterPtr parameters = NULL;
        int count = 0;
        if (!lane_step(lane, "the guest agent", deadline_ms))
            return;
        if (virDomainGetGuestInfo(domain, kinds[i].type, &parameters, &count, 0) == 0) {
            kinds[i].set(answer->facts, parameters, count);
            virTypedParamsFree(parameters, count);
        } else if (virGetLastErrorCode() == VIR_ERR_AGENT_UNRESPONSIVE) {
            json_object_set_string_member(answer->facts, "problem", snapshot_libvirt_message());
            return;
        }
    }
}

static void job_agent(struct lane *lane, gpointer context, const char *uuid)
{
    struct guests *guests = context;
    if (!lane_step(lane, "the guest agent", guests->deadline_ms))
        return;
    g_autoptr(virDomain) domain = virDomainLookupByUUIDString(guests->connection, uuid);
    if (!domain)
        return;
    struct guest_answer *answer = answer_new(uuid);
    ask_agent(domain, lane, guests->deadline_ms, answer);
    lane_post(lane, guests->receivers->agent, answer, answer_free);
}

/* --- from outside --------------------------------------------------------------------------------
 */

struct lane *guest_lane_open(virConnectPtr connection, gboolean local, guint deadline_ms,
                             const struct guest_receivers *receivers, struct lane_hung *hung,
                             gpointer receiver)
{
    struct guests *guests = g_new0(struct guests, 1);
    guests->connection = connection;
    virConnectRef(connection);
    guests->local = local;
    guests->deadline_ms = deadline_ms;
    guests->receivers = receivers;
    return lane_new("guests", guests, guests_free, hung, receiver);
}

void guest_lane_ask_sizes(struct lane *lane, const char *uuid)
{
    lane_push(lane, job_sizes, uuid, FALSE);
}

void guest_lane_ask_agent(struct lane *lane, const char *uuid)
{
    lane_push(lane, job_agent, uuid, FALSE);
}
