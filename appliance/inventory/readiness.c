/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/readiness.h"
#include "base/checks.h"
#include "base/json.h"

#include <string.h>

#define GIB (1024ULL * 1024 * 1024)

/* As snapshot/scratch.c does without experience, and where it refuses. */
#define SCRATCH_PART 10
#define SCRATCH_MIN_BYTES GIB
#define SCRATCH_REFUSED_BYTES (512 * 1024 * 1024ULL)

#define DISK_MAX_BYTES (64 * 1024 * GIB)

/* A store with a first copy: below this part of the disks it will soon be full. */
#define STORE_DELTA_PART 20

struct judging {
    const struct readiness_input *input;
    struct checks checks;
};

static guint length(JsonArray *array)
{
    return array ? json_array_get_length(array) : 0;
}

/* --- disks ---------------------------------------------------------------------------------------
 */

static gboolean is_excluded(const struct judging *judging, JsonObject *disk)
{
    const char *const *excluded = judging->input->exclude_disks;
    return excluded && g_strv_contains(excluded, json_find_string(disk, "name"));
}

/* The disks that a cycle would take, one after the other: TRUE with *ret_disk, beginning with
 * *index 0. */
static gboolean next_disk(const struct judging *judging, guint *index, JsonObject **ret_disk)
{
    JsonArray *disks = json_find_array(judging->input->facts, "disks");
    while (*index < length(disks)) {
        JsonObject *disk = json_array_get_object_element(disks, (*index)++);
        if (!json_find_boolean(disk, "supported") || is_excluded(judging, disk))
            continue;
        *ret_disk = disk;
        return TRUE;
    }
    return FALSE;
}

static void judge_disks(struct judging *judging)
{
    JsonArray *disks = json_find_array(judging->input->facts, "disks");
    JsonObject *disk;
    guint taken = 0;
    for (guint i = 0; i < length(disks); i++) {
        disk = json_array_get_object_element(disks, i);
        if (!json_find_boolean(disk, "supported") && !json_find_boolean(disk, "removable") &&
            !is_excluded(judging, disk))
            checks_add(&judging->checks, VERDICT_BLOCKED,
                       "leave it out (--exclude-disk), and copy it by other means",
                       "disk %s cannot be replicated: %s", json_find_string(disk, "name"),
                       json_find_string(disk, "unsupported_reason"));
    }
    for (guint i = 0; next_disk(judging, &i, &disk); taken++) {
        if (json_find_uint(disk, "capacity_bytes") > DISK_MAX_BYTES)
            checks_add(&judging->checks, VERDICT_BLOCKED, "leave it out (--exclude-disk)",
                       "disk %s is larger than 64 TiB", json_find_string(disk, "name"));
        if (json_find_boolean(disk, "encrypted"))
            checks_add(&judging->checks, VERDICT_WARNING,
                       "keep the store on an encrypted file system",
                       "disk %s is encrypted on the host; its replica is not",
                       json_find_string(disk, "name"));
    }
    if (taken == 0 && !judging->checks.found)
        checks_add(&judging->checks, VERDICT_BLOCKED, "leave out fewer disks",
                   "there is no disk to replicate");
}

static void judge_bitmaps(struct judging *judging)
{
    JsonObject *disk;
    for (guint i = 0; next_disk(judging, &i, &disk);)
        if (!json_find_boolean(disk, "bitmap"))
            checks_add(&judging->checks, VERDICT_WARNING,
                       json_find_boolean(disk, "read_only")
                           ? NULL
                           : "convert it to qcow2, whose bitmaps tell what changed",
                       "disk %s (%s%s) is read as a whole in each cycle",
                       json_find_string(disk, "name"), json_find_string(disk, "format"),
                       json_find_boolean(disk, "read_only") ? ", read-only" : "");
}

/* Disks in one folder share its room. */
static void judge_scratch_space(struct judging *judging)
{
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    JsonObject *disk,
        *folders = json_find_object(json_find_object(judging->input->facts, "usage"), "folders");
    for (guint i = 0; next_disk(judging, &i, &disk);) {
        const char *folder = json_find_string(disk, "folder");
        if (!folder || !json_find_object(folders, folder))
            continue;
        guint64 capacity = json_find_uint(disk, "capacity_bytes"), *sum;
        guint64 reserve = MIN(capacity, MAX(capacity / SCRATCH_PART, SCRATCH_MIN_BYTES));
        sum = g_hash_table_lookup(needed, folder);
        if (!sum) {
            sum = g_new0(guint64, 1);
            g_hash_table_insert(needed, (char *)folder, sum);
        }
        *sum += reserve;
    }
    GHashTableIter iter;
    gpointer folder, sum;
    g_hash_table_iter_init(&iter, needed);
    while (g_hash_table_iter_next(&iter, &folder, &sum)) {
        guint64 bytes = json_find_uint(json_find_object(folders, folder), "free_bytes");
        g_autofree char *free_text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
        g_autofree char *wanted = g_format_size_full(*(guint64 *)sum, G_FORMAT_SIZE_IEC_UNITS);
        if (bytes < MIN(SCRATCH_REFUSED_BYTES, *(guint64 *)sum))
            checks_add(&judging->checks, VERDICT_BLOCKED,
                       "free space there, or set a scratch folder with more of it",
                       "%s has %s free: too little beside a guest that writes", (char *)folder,
                       free_text);
        else if (bytes < *(guint64 *)sum)
            checks_add(&judging->checks, VERDICT_WARNING,
                       "free space there, or set a scratch folder with more of it",
                       "%s has %s free, less than the reserve of %s: a cycle in which the guest "
                       "overwrites much has to be given up",
                       (char *)folder, free_text, wanted);
    }
}

/* --- the machine ---------------------------------------------------------------------------------
 */

static void judge_host(struct judging *judging)
{
    const struct readiness_input *input = judging->input;
    JsonObject *replication = json_find_object(input->facts, "replication");
    if (g_strcmp0(input->host_status, "lost") == 0)
        checks_add(&judging->checks, VERDICT_BLOCKED, "landfall host list tells what to do",
                   "host %s: %s", input->host,
                   input->host_detail ? input->host_detail : "it does not answer");
    else if (g_strcmp0(input->host_status, "connected") != 0)
        checks_add(&judging->checks, VERDICT_WARNING, NULL, "host %s has not answered yet",
                   input->host);
    if (replication && !json_find_boolean(replication, "supported"))
        checks_add(&judging->checks, VERDICT_BLOCKED, json_find_string(replication, "hint"), "%s",
                   json_find_string(replication, "why"));
}

static void judge_machine(struct judging *judging)
{
    const struct readiness_input *input = judging->input;
    JsonObject *facts = input->facts;
    if (input->gone)
        checks_add(&judging->checks, VERDICT_BLOCKED,
                   "look for it on the other hosts: landfall machine list",
                   "host %s no longer has it", input->host);
    if (!facts || json_find_string(facts, "problem"))
        checks_add(&judging->checks, VERDICT_BLOCKED, NULL, "its definition could not be read: %s",
                   facts ? json_find_string(facts, "problem") : "not yet");
    if (!facts)
        return;
    if (json_find_string(facts, "unresponsive"))
        checks_add(&judging->checks, VERDICT_BLOCKED,
                   "look at its QEMU on the host, and at the storage of its disks",
                   "it does not answer (%s)", json_find_string(facts, "unresponsive"));
    if (!json_find_string(facts, "problem") && !json_find_boolean(facts, "persistent"))
        checks_add(&judging->checks, VERDICT_WARNING,
                   "define it: `virsh dumpxml M >M.xml; virsh define M.xml`",
                   "it is transient: libvirt forgets it, and its checkpoints, when it stops");
    if (json_find_boolean(facts, "managed_save") && g_strcmp0(input->power, "off") == 0)
        checks_add(&judging->checks, VERDICT_BLOCKED,
                   "start it, or drop the image: `virsh managedsave-remove`",
                   "it is off with a saved memory image, which reading it would consume");
}

static char *join(JsonArray *names)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < length(names); i++)
        g_string_append_printf(list, "%s%s", i ? ", " : "",
                               json_array_get_string_element(names, i));
    return g_string_free(g_steal_pointer(&list), FALSE);
}

static void judge_checkpoints(struct judging *judging)
{
    const struct readiness_input *input = judging->input;
    JsonArray *others = json_find_array(input->facts, "checkpoints");
    JsonArray *ours = json_find_array(json_find_object(input->facts, "usage"), "checkpoints");
    g_autofree char *names = join(others);
    if (length(others) > 0)
        checks_add(&judging->checks, VERDICT_BLOCKED,
                   "if nobody needs them, remove them with `virsh checkpoint-delete`",
                   "another tool has checkpoints: %s", names);
    for (guint i = 0; input->store && input->store->id && i < length(ours); i++) {
        JsonObject *checkpoint = json_array_get_object_element(ours, i);
        if (g_strcmp0(json_find_string(checkpoint, "store"), input->store->id) != 0)
            checks_add(
                &judging->checks, VERDICT_BLOCKED,
                "stop its replication there; if that store is no more, remove it with `virsh "
                "checkpoint-delete`",
                "checkpoint %s is that of another store", json_find_string(checkpoint, "name"));
    }
}

static void judge_snapshots(struct judging *judging)
{
    JsonArray *snapshots = json_find_array(judging->input->facts, "snapshots");
    g_autofree char *names = join(snapshots);
    if (length(snapshots) > 0)
        checks_add(&judging->checks, VERDICT_WARNING, NULL,
                   "its snapshots stay behind (%s): what is replicated is its present state",
                   names);
}

static void judge_devices(struct judging *judging)
{
    JsonObject *facts = judging->input->facts;
    JsonArray *passthrough = json_find_array(facts, "passthrough");
    JsonArray *folders = json_find_array(facts, "shared_folders");
    for (guint i = 0; i < length(passthrough); i++) {
        JsonObject *device = json_array_get_object_element(passthrough, i);
        checks_add(&judging->checks, VERDICT_WARNING,
                   "give the copy one of the target's, or do without",
                   "a %s device of the host (%s) does not go along",
                   json_find_string(device, "kind"), json_find_string(device, "what"));
    }
    for (guint i = 0; i < length(folders); i++)
        checks_add(&judging->checks, VERDICT_WARNING, "copy it by other means",
                   "files in the shared folder %s are on none of its disks",
                   json_find_string(json_array_get_object_element(folders, i), "source"));
    if (json_find_object(facts, "tpm"))
        checks_add(&judging->checks, VERDICT_WARNING,
                   "have recovery keys of what is sealed by it at hand",
                   "what its TPM holds is on none of its disks");
    if (g_strcmp0(json_find_string(facts, "firmware"), "uefi") == 0)
        checks_add(&judging->checks, VERDICT_WARNING, NULL,
                   "its UEFI variables are on none of its disks: the copy starts with fresh ones");
}

static void judge_freezing(struct judging *judging)
{
    const struct readiness_input *input = judging->input;
    JsonObject *agent = json_find_object(input->facts, "agent");
    const char *hint = "install and start qemu-guest-agent in the guest";
    if (g_strcmp0(input->power, "off") == 0)
        return;
    if (!json_find_boolean(agent, "channel"))
        checks_add(&judging->checks, VERDICT_WARNING,
                   "add a channel org.qemu.guest_agent.0, and qemu-guest-agent in the guest",
                   "no guest agent: recovery points are what a power cut would leave");
    else if (!json_find_boolean(agent, "connected"))
        checks_add(
            &judging->checks, VERDICT_WARNING, hint,
            "the guest agent is not running: recovery points are what a power cut would leave");
    else if (json_find_string(agent, "problem"))
        checks_add(&judging->checks, VERDICT_WARNING, hint, "the guest agent does not answer: %s",
                   json_find_string(agent, "problem"));
}

/* --- where it goes -------------------------------------------------------------------------------
 */

static void judge_store(struct judging *judging)
{
    const struct readiness_store *store = judging->input->store;
    JsonObject *disk,
        *usage = json_find_object(json_find_object(judging->input->facts, "usage"), "disks");
    guint64 data = 0, capacity = 0;
    if (!store) {
        checks_add(&judging->checks, VERDICT_BLOCKED, "add one: landfall store add",
                   "there is no store");
        return;
    }
    if (store->problem) {
        checks_add(&judging->checks, VERDICT_BLOCKED,
                   "see that its folder is there and can be written", "store %s: %s", store->name,
                   store->problem);
        return;
    }
    for (guint i = 0; next_disk(judging, &i, &disk);) {
        guint64 size = json_find_uint(disk, "capacity_bytes");
        guint64 allocated = json_find_uint(json_find_object(usage, json_find_string(disk, "name")),
                                           "allocation_bytes");
        capacity += size;
        data += allocated && allocated < size ? allocated : size;
    }
    guint64 needed = store->has_copy ? capacity / STORE_DELTA_PART : data;
    g_autofree char *free_text = g_format_size_full(store->free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *needed_text = g_format_size_full(needed, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *most_text = g_format_size_full(capacity, G_FORMAT_SIZE_IEC_UNITS);
    if (!store->has_copy && store->free_bytes < needed)
        checks_add(&judging->checks, VERDICT_BLOCKED, "free space there, or choose another store",
                   "store %s has %s free, and a first copy takes %s", store->name, free_text,
                   needed_text);
    else if (store->free_bytes < needed)
        checks_add(&judging->checks, VERDICT_WARNING,
                   "free space there, or keep fewer recovery points",
                   "store %s has %s free, a small part of the disks' %s", store->name, free_text,
                   most_text);
    else if (!store->has_copy && store->free_bytes < capacity)
        checks_add(&judging->checks, VERDICT_WARNING,
                   "watch it: free space there, or keep fewer recovery points",
                   "store %s has %s free: enough for a first copy of %s, not for full disks (%s)",
                   store->name, free_text, needed_text, most_text);
}

static gboolean has_mac(JsonObject *facts, const char *mac)
{
    JsonArray *nics = json_find_array(facts, "nics");
    for (guint i = 0; mac && i < length(nics); i++) {
        const char *other = json_find_string(json_array_get_object_element(nics, i), "mac");
        if (other && g_ascii_strcasecmp(other, mac) == 0)
            return TRUE;
    }
    return FALSE;
}

static void judge_other(struct judging *judging, const struct readiness_other *other)
{
    const struct readiness_input *input = judging->input;
    JsonArray *nics = json_find_array(input->facts, "nics");
    if (g_strcmp0(other->uuid, input->uuid) == 0) {
        checks_add(&judging->checks, VERDICT_WARNING, "make sure that it is a copy that may go",
                   "host %s has it already", other->host);
        return;
    }
    if (g_strcmp0(other->name, input->name) == 0)
        checks_add(&judging->checks, VERDICT_WARNING, "rename one of the two before a migration",
                   "host %s has another machine of this name", other->host);
    for (guint i = 0; i < length(nics); i++) {
        const char *mac = json_find_string(json_array_get_object_element(nics, i), "mac");
        if (has_mac(other->facts, mac))
            checks_add(&judging->checks, VERDICT_WARNING,
                       "give one of the two another address before a migration",
                       "machine %s on host %s has the same MAC address %s", other->name,
                       other->host, mac);
    }
}

static void judge_target(struct judging *judging)
{
    for (gsize i = 0; i < judging->input->other_count; i++)
        judge_other(judging, &judging->input->others[i]);
}

JsonObject *readiness_judge(const struct readiness_input *input)
{
    static const struct {
        const char *check;
        void (*judge)(struct judging *judging);
        const char *fine;
    } checks[] = {
        {"host", judge_host, "it answers"},
        {"machine", judge_machine, "it is there"},
        {"disks", judge_disks, "all can be read in a snapshot"},
        {"bitmaps", judge_bitmaps, "all tell what changed"},
        {"checkpoints", judge_checkpoints, "none stand in the way"},
        {"snapshots", judge_snapshots, "there are none"},
        {"devices", judge_devices, "all of it is on its disks"},
        {"scratch-space", judge_scratch_space,
         "no want of room is known; it is watched during each cycle"},
        {"freezing", judge_freezing, "file systems are quiet in a recovery point"},
        {"store", judge_store, "there is room"},
        {"target", judge_target, "no target host has the like"},
    };
    struct judging judging = {.input = input};
    checks_init(&judging.checks);
    for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
        checks_begin(&judging.checks, checks[i].check);
        checks[i].judge(&judging);
        checks_end(&judging.checks, checks[i].fine);
    }
    JsonObject *result = checks_to_json(&judging.checks);
    checks_clear(&judging.checks);
    return result;
}
