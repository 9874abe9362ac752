#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# unpack-kernel.sh KERNEL OUTPUT: the kernel proper, without the code that unpacks it: QEMU starts that as well
# (PVH), and an emulated processor unpacks slowly. Where it lies in the file says the kernel's boot protocol.
# A kernel packed in a way that is not known here is copied as it is, and boots all the same.

set -euo pipefail
shopt -s inherit_errexit

kernel=$1 output=$2

# number OFFSET LENGTH
number() {
    od -An -v -t "u$2" -j "$1" -N "$2" "$kernel" | tr -d ' '
}

begin=$((($(number $((0x1f1)) 1) + 1) * 512 + $(number $((0x248)) 4)))
# The last four bytes are the size it has unpacked.
length=$(($(number $((0x24c)) 4) - 4))
case $(od -An -v -t x1 -j $begin -N 4 "$kernel" | tr -d ' ') in
02214c18) unpack=(lz4 -dcq) ;;
28b52ffd) unpack=(zstd -dcq) ;;
fd377a58) unpack=(xz -dcq) ;;
*) unpack=() ;;
esac
if [ ${#unpack[@]} -eq 0 ] || ! command -v "${unpack[0]}" >/dev/null; then
    cp "$kernel" "$output.new"
else
    dd if="$kernel" iflag=skip_bytes,count_bytes bs=1M skip=$begin count=$length status=none |
        "${unpack[@]}" >"$output.new"
fi
mv "$output.new" "$output"
