#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# libvirtd-prepare.sh FOLDER [SOCKET-FOLDER]: puts empty file systems over everything libvirtd keeps, in the mount
# namespace it is called in, and writes a configuration. The log goes to FOLDER, the sockets
# to SOCKET-FOLDER when they are to be reached from other namespaces. Called by libvirtd.sh only.

set -euo pipefail

folder=$1
[ "$(readlink /proc/self/ns/mnt)" != "${KIT_OUTER_MOUNTS:?}" ] || {
    echo "not in a mount namespace of its own" >&2
    exit 1
}

for path in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt \
    /etc/pki; do
    mkdir -p "$path"
    mount -t tmpfs -o mode=755 landfall-test "$path"
done
mkdir -m 711 /var/lib/libvirt/images
mkdir -p "$folder"

# What libvirt once found out about QEMU (kit_keep_capabilities); whether it still holds, it looks by itself.
if [ -d "${KIT_CAPABILITIES:?}" ]; then
    mkdir /var/cache/libvirt/qemu
    cp -r "$KIT_CAPABILITIES" /var/cache/libvirt/qemu/capabilities
fi

cat >/etc/libvirt/libvirtd.conf <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:$folder/libvirtd.log"
END
[ -z "${2:-}" ] || cat >>/etc/libvirt/libvirtd.conf <<END
unix_sock_dir = "$2"
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
END

# QEMU runs as the distribution's own user, as it does for everyone; but control groups are shared
# by all tests of the machine, and names in them would clash.
cat >/etc/libvirt/qemu.conf <<END
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
END
