#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build-initramfs.sh KERNEL WRITER OUTPUT: packs the tests' guest: busybox, the modules of this
# kernel that a virtual machine needs, the record writer, the scripts below root/, and the QEMU
# guest agent with its libraries where it is installed. Everything comes from installed packages:
# busybox-static, linux-image-cloud-amd64, qemu-guest-agent.

set -euo pipefail
shopt -s inherit_errexit

kernel=$1 writer=$2 output=$3
here=$(dirname "$0")
release=${kernel##*/vmlinuz-}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

add_busybox() {
    local name
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $(busybox --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
}

# add_modules DEVICES NAME…: loaded in this order, what they depend on first, where there is one of the devices:
# PCI numbers with commas before, between and behind them, or "all".
add_modules() {
    local devices=$1 name insmod path rest
    shift
    for name; do
        modprobe -S "$release" -D "$name" | while read -r insmod path rest; do
            [ "$insmod" = insmod ] || continue
            [ -e "$root/modules/${path##*/}" ] && continue
            cp "$path" "$root/modules/"
            echo "$devices ${path##*/} $rest" >>"$root/modules/order"
        done
    done
}

add_agent() {
    local agent=/usr/sbin/qemu-ga library
    [ -x $agent ] || return 0
    cp $agent "$root/bin/qemu-ga"
    for library in $(ldd $agent | grep -o '/[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
}

mkdir -p "$root"/{bin,dev,etc/acpi/PWRF,mnt,modules,proc,run,sys,tmp,var/run,var/log}
ln -s bin "$root/sbin"
add_busybox
add_modules all virtio_pci virtio_blk virtio_console button evdev
# An old one, and a new one. To load these takes a fifth of a boot.
add_modules ,0x1004,0x1048, virtio_scsi sd_mod
add_modules ,0x1000,0x1041, virtio_net
add_agent
cp "$writer" "$root/bin/record-writer"
cp --remove-destination "$here"/root/{guest-mode,guest-network,guest-run,shutdown} "$root/bin/"
cp "$here"/root/init "$root/init"
# busybox's acpid runs this when the power button is pressed.
ln -s /bin/shutdown "$root/etc/acpi/PWRF/00000080"

# Not compressed: unpacking costs the emulated processor more than reading costs QEMU.
(cd "$root" && find . | sort | cpio --quiet --owner 0:0 -H newc -o) >"$output.new"
mv "$output.new" "$output"
