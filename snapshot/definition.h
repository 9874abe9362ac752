/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine's definition says about it, as JSON: the one place where domain XML is read for
 * people and for decisions outside of this room. What has no value is left out, unless a value is
 * given here in brackets.
 *
 *     name, uuid, title, type ("kvm", "qemu", "test", …), architecture, machine_type
 *     os                   libosinfo's identity: "http://debian.org/debian/12"
 *     firmware             "bios", "uefi" or "kernel" (started by the host); secure_boot [false]
 *     memory_bytes, cpus, cpu_mode, cpu_model
 *     disks[]              name, device ("disk", "cdrom", "floppy", "lun"), bus, type ("file",
 *                          "block", "network", …), format, source, chain[] (images from the one
 * that is written down to the lowest known), folder (of a file), read_only, shareable, transient,
 * encrypted, removable, supported, unsupported_reason, bitmap (can carry one), no_bitmap_cause
 *     nics[]               mac, model, type ("network", "bridge", "direct", …), source
 *     passthrough[]        kind ("pci", "usb", "mdev", "scsi", …), what: a host's device in the
 * guest shared_folders[]     source, target, driver: files of the host in the guest tpm model,
 * backend, version agent                channel: there is one for the guest agent; connected: the
 * agent is there
 */

#include <json-glib/json-glib.h>

/* The caller owns the object. Error source: this is no definition. */
JsonObject *snapshot_definition_facts(const char *domain_xml, GError **error);
