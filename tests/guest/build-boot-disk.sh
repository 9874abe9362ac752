#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build-boot-disk.sh KERNEL INITRAMFS OUTPUT: a disk that boots by itself under a BIOS, as an ordinary
# machine's does: boot loader, a partition with an ext4 root file system, the kernel in it, and a
# partition for the writer's records. The root file system is the tree of the initramfs. Nothing is
# mounted for it. Needs grub-pc-bin, grub-common, fdisk, e2fsprogs.

set -euo pipefail
shopt -s inherit_errexit

kernel=$1 initramfs=$2 output=$3
# In sectors. The kit knows where the records begin and what the last line of grub.cfg is.
root_start=2048 root_sectors=129024 records_start=131072

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/root"
(cd "$work/root" && cpio --quiet -id) <"$initramfs"
# To enter the disk less is enough, and what the BIOS reads it reads slowly.
(cd "$work/root" && find . \( -path './lib*' -o -path ./usr -o -name qemu-ga -o -name record-writer \) \
    -prune -o -print | sort | cpio --quiet --owner 0:0 -H newc -o) >"$work/initramfs"
mkdir "$work/root/boot"
mv "$work/initramfs" "$work/root/boot/initramfs"
cp "$kernel" "$work/root/boot/vmlinuz"

# The menu proper lies on the file system, where the kit writes it.
cat >"$work/early" <<'END'
set root=(hd0,msdos1)
source /boot/grub.cfg
END
grub-mkimage -O i386-pc -p /boot -c "$work/early" -o "$work/core" biosdisk part_msdos ext2 linux16 \
    configfile boot

truncate -s 96M "$output.new"
sfdisk -q "$output.new" <<END
label: dos
start=$root_start, size=$root_sectors, type=83, bootable
start=$records_start, type=da
END
# What GRUB cannot read is left out.
mke2fs -q -t ext4 -L landfall-root -O '^metadata_csum_seed,^orphan_file' \
    -E "offset=$((root_start * 512)),root_owner=0:0" -d "$work/root" "$output.new" \
    $((root_sectors / 2))k
dd if=/usr/lib/grub/i386-pc/boot.img of="$output.new" bs=440 count=1 conv=notrunc status=none
[ "$(stat -c %s "$work/core")" -lt $(((root_start - 1) * 512)) ]
dd if="$work/core" of="$output.new" bs=512 seek=1 conv=notrunc status=none
mv "$output.new" "$output"
