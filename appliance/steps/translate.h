/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a machine's definition at the source to the one it gets at the target. What the guest sees
 * stays as it is as far as the target offers it: firmware, machine type, devices, addresses, order
 * of booting. What belongs to the source host goes. Each change is told, with its reason. Nothing
 * is asked of anyone here but by translate_for: the same input gives the same definition. */

#include <json-glib/json-glib.h>
#include <libvirt/libvirt.h>

/* The namespace of the element that machines defined by us have in their metadata:
 * <landfall:machine owner= kind= source=UUID store=ID point=NUMBER/>. */
#define TRANSLATE_STAMP_URI "urn:landfall:machine"

enum translate_purpose {
    TRANSLATE_MIGRATE, /* takes the machine's place */
    TRANSLATE_TEST,    /* stands beside it */
};

/* An image below a disk's file. */
struct translate_layer {
    const char *path;
    const char *format;
};

/* A disk's source at the target: a file, or an NBD export by TCP or by a unix socket. */
struct translate_disk {
    const char *name;   /* in the source's definition: "vda" */
    const char *path;   /* of the file; NULL: NBD */
    const char *format; /* of the file; NULL: qcow2 */
    const struct translate_layer
        *layers; /* all below the file, the upper first; NULL: libvirt looks */
    gsize layer_count;
    gboolean
        keep_owner; /* libvirt is to leave the owner of the files alone: others read them, too */
    const char *nbd_export;
    const char *nbd_host; /* TCP; NULL: nbd_socket */
    guint nbd_port;
    const char *nbd_socket;
    gboolean nbd_tls;
    const char *nbd_tls_hostname; /* that the server's certificate is for; NULL: nbd_host */
};

/* What is wanted. All borrowed; NULL and 0: as at the source, unless something else is said. */
struct translate_settings {
    enum translate_purpose purpose;
    const char *name;
    const char *uuid; /* must be new where both can meet: on one host, and for tests */
    const struct translate_disk *disks; /* others are dropped */
    gsize disk_count;
    gboolean nbd_reconnect;           /* the target's libvirt can tell QEMU to wait for a server */
    const char *const *exclude_disks; /* of those that are dropped, the operator has chosen these */
    JsonObject *networks;     /* source's network, bridge or device → network of the target */
    const char *test_network; /* all cards are put there, whatever the mapping says */
    gboolean new_macs;
    const char *nvram;     /* the machine's own UEFI variables at the target; NULL: libvirt's place,
                              from the template */
    gboolean nvram_copied; /* the source's are in it */
    const char *console_log; /* what comes from the first serial port is kept there, too */
    guint cpus;
    guint64 memory_mib;
    const char *firmware;     /* "bios" or "uefi" */
    const char *machine_type; /* "q35", "pc-i440fx-7.2" */
    const char *cpu_model;    /* "host-passthrough", "host-model", "maximum", or a model's name */
    const char *video;        /* "virtio", "vga" … */

    /* The note in the metadata that says whose the machine is: TRANSLATE_STAMP_URI. */
    const char *owner; /* NULL: no note */
    const char *kind;  /* of the operation: "test", "migrate" … */
    const char *store_id;
    guint64 recovery_point;
};

struct translation {
    char *xml;
    char *name;
    char *uuid;
    /* {what, from?, to?, why, level}: level is "info", "warning" (somebody should know), or
     * "blocked" (the machine would not start, or would be another one). */
    JsonArray *changes;
    gboolean blocked;
};

void translation_free(struct translation *translation);

/* What of the target a machine runs on. */
struct translate_choice {
    char *arch;
    char *domain_type; /* "kvm", "qemu" */
    char *machine_type;
    char *emulator;
};

void translate_choice_clear(struct translate_choice *choice);

/* Chooses from the target's capabilities (virConnectGetCapabilities). Errors: source (no XML),
 * unsupported (nothing there runs such a machine). */
gboolean translate_choose(const char *domain_xml, const char *capabilities,
                          const struct translate_settings *settings,
                          struct translate_choice *ret_choice, GError **error);

/* Translates, with what the target says about the choice (virConnectGetDomainCapabilities). Error
 * source: one of the two is no XML of its kind. */
struct translation *translate_run(const char *domain_xml, const struct translate_choice *choice,
                                  const char *domain_capabilities,
                                  const struct translate_settings *settings, GError **error);

/* Both, for the host behind the connection. Errors: source, unsupported. */
struct translation *translate_for(virConnectPtr connection, const char *domain_xml,
                                  const struct translate_settings *settings, GError **error);

/* A UUID for the machine that an operation defines: the same each time it is asked for. The caller
 * owns it. */
char *translate_uuid(const char *machine_uuid, const char *store_id, const char *owner);
