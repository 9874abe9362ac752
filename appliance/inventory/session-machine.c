/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/inventory/session-machine.h"
#include "snapshot/definition.h"

static const char *power_text(virDomainPtr domain, gboolean *ret_arrived)
{
    static const char *const texts[] = {
        [VIR_DOMAIN_NOSTATE] = "running",        [VIR_DOMAIN_RUNNING] = "running",
        [VIR_DOMAIN_BLOCKED] = "running",        [VIR_DOMAIN_PAUSED] = "paused",
        [VIR_DOMAIN_SHUTDOWN] = "shutting-down", [VIR_DOMAIN_SHUTOFF] = "off",
        [VIR_DOMAIN_CRASHED] = "crashed",        [VIR_DOMAIN_PMSUSPENDED] = "suspended",
    };
    int state = -1, reason = 0;
    if (virDomainGetState(domain, &state, &reason, 0) < 0 || state < 0 ||
        (gsize)state >= G_N_ELEMENTS(texts))
        return NULL;
    *ret_arrived = state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_MIGRATED;
    return texts[state];
}

/* A driver that does not know of such a thing has none. */
static void set_flag(JsonObject *facts, const char *name, int answer)
{
    json_object_set_boolean_member(facts, name, answer == 1);
}

static void set_snapshots(JsonObject *facts, virDomainPtr domain)
{
    virDomainSnapshotPtr *list = NULL;
    JsonArray *names = json_array_new();
    int count = virDomainListAllSnapshots(domain, &list, 0);
    for (int i = 0; i < count; i++) {
        json_array_add_string_element(names, virDomainSnapshotGetName(list[i]));
        virDomainSnapshotFree(list[i]);
    }
    free(list);
    json_object_set_array_member(facts, "snapshots", names);
}

/* Those of our cycles come and go all the time: they are no change of the machine. */
static void set_checkpoints(JsonObject *facts, virDomainPtr domain)
{
    virDomainCheckpointPtr *list = NULL;
    JsonArray *others = json_array_new(), *ours = json_array_new();
    int count = virDomainListAllCheckpoints(domain, &list, 0);
    for (int i = 0; i < count; i++) {
        const char *name = virDomainCheckpointGetName(list[i]);
        g_autofree char *store = snapshot_checkpoint_store(name);
        if (store) {
            JsonObject *checkpoint = json_object_new();
            json_object_set_string_member(checkpoint, "name", name);
            json_object_set_string_member(checkpoint, "store", store);
            json_array_add_object_element(ours, checkpoint);
        } else {
            json_array_add_string_element(others, name);
        }
        virDomainCheckpointFree(list[i]);
    }
    free(list);
    json_object_set_array_member(facts, "checkpoints", others);
    JsonObject *usage = json_object_new();
    json_object_set_array_member(usage, "checkpoints", ours);
    json_object_set_object_member(facts, "usage", usage);
}

static JsonObject *machine_facts(virDomainPtr domain, const char *xml)
{
    g_autoptr(GError) error = NULL;
    JsonObject *facts = snapshot_definition_facts(xml, &error);
    if (!facts) {
        facts = json_object_new();
        json_object_set_string_member(facts, "problem", error->message);
        return facts;
    }
    int autostart = 0;
    virDomainGetAutostart(domain, &autostart);
    set_flag(facts, "persistent", virDomainIsPersistent(domain));
    set_flag(facts, "autostart", autostart);
    set_flag(facts, "managed_save", virDomainHasManagedSaveImage(domain, 0));
    set_snapshots(facts, domain);
    set_checkpoints(facts, domain);
    return facts;
}

struct session_machine *session_machine_read(virDomainPtr domain)
{
    gboolean arrived = FALSE;
    const char *power = power_text(domain, &arrived);
    char *xml = power ? virDomainGetXMLDesc(domain, 0) : NULL;
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (!xml || virDomainGetUUIDString(domain, uuid) != 0)
        return NULL;
    struct session_machine *machine = g_new0(struct session_machine, 1);
    machine->uuid = g_strdup(uuid);
    machine->name = g_strdup(virDomainGetName(domain));
    machine->power = power;
    machine->arrived = arrived;
    machine->facts = machine_facts(domain, xml);
    free(xml);
    return machine;
}

void session_machine_free(gpointer data)
{
    struct session_machine *machine = data;
    g_free(machine->uuid);
    g_free(machine->name);
    json_object_unref(machine->facts);
    g_free(machine);
}
