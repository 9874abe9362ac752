#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Source and replica part behind our back, between two cycles: bitmaps that lie or are lost, images
# that are shrunk, rolled back, exchanged, written to by others, machines defined anew. The next
# recovery point equals the disks all the same, what could not be trusted is in the manifest with its
# cause, and nothing stays on the host (S2, S6, A5).

. "$(dirname "$0")/../appliance/live.sh"
requires qemu-io

# Where each disk of the machine is; two of them have one size, and one content but for a block that
# lies low: the last one with data is the same, and a sample finds it hard to tell them apart.
declare -A image=([vda]=$KIT_TMP/vda.qcow2 [vdb]=$KIT_TMP/vdb.qcow2 [vdc]=$KIT_TMP/vdc.raw)
machine=m1
both="vda=bitmap vdb=bitmap"
raw="vdc=hash-scan(format-without-bitmaps)"

# put IMAGE PATTERN OFFSET LENGTH…: as a tool writes that keeps the bitmaps of an image.
put() {
    local path=$1 commands=()
    shift
    for (( ; $# >= 3; )); do
        commands+=(-c "write -q -P $1 $2 $3")
        shift 3
    done
    qemu-io -f "${path##*.}" "${commands[@]}" "$path"
}

# bypass IMAGE PATTERN OFFSET: 64 KiB of the guest's data, as a tool writes them that knows where a
# cluster lies and nothing of bitmaps.
bypass() {
    local place
    place=$(qemu-img map --output=json "$1" |
        jq --argjson at "$3" '.[] | select(.data and .start <= $at and $at < .start + .length) |
            .offset + $at - .start')
    pattern "$2" 65536 | dd of="$1" bs=65536 oflag=seek_bytes seek="$place" conv=notrunc status=none
}

# The bitmaps of all images, which nobody has open.
bitmaps() {
    local disk
    for disk in $(printf '%s\n' "${!image[@]}" | sort); do
        [[ ${image[$disk]} != *.qcow2 ]] ||
            echo "$disk: $(qemu-img info --output=json "${image[$disk]}" |
                jq -r '[.["format-specific"].data.bitmaps // [] | .[].name] | join(" ")')"
    done
}

# follows NAME MODES OPTION…: the next cycle of the machine, which is off.
follows() {
    local name=$1 expected=$2 disk one
    shift 2
    cycle $machine --retain 4 "$@"
    cycle_ok "$name: the next cycle"
    is "$name: each disk in its way" "$(modes)" "$expected"
    for disk in "${!image[@]}"; do
        export_disk $machine 0 "$disk" >"$KIT_TMP/.export"
        ok "$name: $disk equals the replica" \
            qemu-img compare -q -F raw -f "${image[$disk]##*.}" "${image[$disk]}" "$KIT_TMP/copy.$disk"
    done
    one=$(checkpoints $machine)
    is "S6: $name: nothing is left on the host" "$(read_host $machine | sed 's/ *$//')" \
        $'state: shut off\ncheckpoints: 1\nmarkers: 0\nfiles:'
    is "$name: nor in the images" "$(bitmaps | grep -vx ".*: $one" || true)" ""
}

why() {
    disk_of vda demotion_detail
}

for disk in vda vdb; do
    guest_make_disk "${image[$disk]}" qcow2 64M
    put "${image[$disk]}" 1 0 4M 2 8M 4M 3 60M 64k
done
put "${image[vda]}" 4 1M 64k
put "${image[vdb]}" 5 1M 64k
guest_make_disk "${image[vdc]}" raw 16M
put "${image[vdc]}" 6 0 16M
guest_define m1 --mode idle --disk "vda:qcow2:${image[vda]}" --disk "vdb:qcow2:${image[vdb]}" \
    --disk "vdc:raw:${image[vdc]}"
follows "first" "vda=initial vdb=initial vdc=initial"
follows "untouched" "$both $raw"

# --- shrunk and grown again -----------------------------------------------------------------------

# The bitmap is sound, and says nothing of the end that is gone.
qemu-img resize -q --shrink "${image[vda]}" 32M
qemu-img resize -q "${image[vda]}" 64M
truncate -s 8M "${image[vdc]}"
truncate -s 16M "${image[vdc]}"
follows "shrunk" "vda=hash-scan(audit-missed) vdb=bitmap $raw"
like "shrunk: it says so" "$messages" "warning audit-missed: vda block 960 changed"

# What was written since is in the bitmap; the last block that was not tells.
put "${image[vda]}" 3 40M 64k 3 50M 64k
follows "written" "$both $raw"
qemu-img resize -q --shrink "${image[vda]}" 36M
qemu-img resize -q "${image[vda]}" 64M
put "${image[vda]}" 7 50M 64k
follows "shrunk, and written since" "vda=hash-scan(audit-missed) vdb=bitmap $raw"
qemu-img resize -q --shrink "${image[vda]}" 32M
qemu-img resize -q "${image[vda]}" 48M
follows "shrunk for good" "vda=hash-scan(size-changed) vdb=bitmap $raw"
qemu-img resize -q "${image[vda]}" 64M
put "${image[vda]}" 3 60M 64k
follows "grown" "vda=hash-scan(size-changed) vdb=bitmap $raw"

# --- rolled back ----------------------------------------------------------------------------------

# To a time before the last cycle: the bitmap of its checkpoint is not there.
cp "${image[vda]}" "$KIT_TMP/older"
put "${image[vda]}" 8 8M 64k
follows "ahead" "$both $raw"
cp "$KIT_TMP/older" "${image[vda]}"
follows "rolled back past a cycle" "vda=hash-scan(bitmap-broken) vdb=bitmap $raw"
like "rolled back past a cycle: it says why" "$(why)" "bitmap of checkpoint landfall-.* is missing"

# To a time after it: the bitmap has come back with the data, and knows which count.
put "${image[vda]}" 9 9M 64k
cp "${image[vda]}" "$KIT_TMP/older"
guest_start m1
ok "the guest boots" guest_wait_ready m1
guest_write m1 vda 0 65536 later
guest_write m1 vda $((30 * 1048576)) 65536 later
guest_write m1 vdb $((2 * 1048576)) 65536 later
ok "the guest is shut down" guest_shutdown m1
cp "$KIT_TMP/older" "${image[vda]}"
follows "rolled back, not past a cycle" "$both $raw"
is "rolled back, not past a cycle: what was written before the copy" "$(disk_of vda changed_blocks)" 1
cp "${image[vda]}" "$KIT_TMP/older"
put "${image[vda]}" 10 10M 64k
mv "$KIT_TMP/older" "${image[vda]}"
follows "rolled back to another file" "vda=hash-scan(image-replaced) vdb=bitmap $raw"
like "rolled back to another file: it says why" "$(why)" "image was another .* ${image[vda]} inode"

# --- written to by others -------------------------------------------------------------------------

start_qemu_nbd "$KIT_TMP/nbd.sock" -f qcow2 "${image[vda]}"
qemu-io -f raw -c "write -q -P 11 11M 64k" -c "write -q -P 11 36M 64k" "$KIT_URI"
stop_process "$KIT_PID"
follows "a foreign writer that keeps bitmaps" "$both $raw"
is "a foreign writer that keeps bitmaps: in the delta" "$(disk_of vda changed_blocks)" 2
start_qemu_nbd "$KIT_TMP/nbd.sock" -f qcow2 "${image[vda]}"
qemu-io -f raw -c "write -q -P 12 11M 64k" "$KIT_URI"
disown "$KIT_PID" # not a word of the shell's about it
stop_process "$KIT_PID" KILL
follows "a foreign writer that was killed" "vda=hash-scan(bitmap-broken) vdb=bitmap $raw"

# Nothing but reading tells: the sample, if it is large enough, or a full scan.
bypass "${image[vda]}" past $((9 * 1048576))
follows "a foreign writer past the bitmap" "vda=hash-scan(audit-missed) vdb=bitmap $raw" \
    --audit-blocks 65536
like "a foreign writer past the bitmap: it says so" "$messages" "warning audit-missed: vda block 144 "
bypass "${image[vda]}" again $((9 * 1048576))
follows "a full scan" "vda=hash-scan(requested) vdb=hash-scan(requested) vdc=hash-scan(requested)" \
    --full-scan
is "a full scan: it finds the block" "$(disk_of vda changed_blocks)" 1

# --- bitmaps and checkpoints that part ------------------------------------------------------------

put "${image[vda]}" 12 3M 128k
qemu-img bitmap --clear "${image[vda]}" "$(checkpoints m1)"
follows "a bitmap that was cleared" "vda=hash-scan(audit-missed) vdb=bitmap $raw" --audit-blocks 65536
put "${image[vda]}" 13 3M 128k
virsh -q checkpoint-delete m1 --metadata "$(checkpoints m1)"
follows "checkpoint lost, bitmaps left" \
    "vda=hash-scan(checkpoint-missing) vdb=hash-scan(checkpoint-missing) $raw"
put "${image[vda]}" 14 3M 128k
qemu-img bitmap --remove "${image[vda]}" "$(checkpoints m1)"
follows "bitmap lost, checkpoint left" "vda=hash-scan(bitmap-broken) vdb=bitmap $raw"

# --- images that change places --------------------------------------------------------------------

# The bitmap has the right name in the wrong image.
exchange() {
    mv "$1" "$KIT_TMP/exchange"
    mv "$2" "$1"
    mv "$KIT_TMP/exchange" "$2"
}
exchange "${image[vda]}" "${image[vdb]}"
follows "exchanged files" "vda=hash-scan(image-replaced) vdb=hash-scan(image-replaced) $raw"
define_with() {
    virsh -q dumpxml --inactive m1 | sed "$1" >"$KIT_TMP/m1.xml"
    virsh -q define "$KIT_TMP/m1.xml" >"$KIT_TMP/.virsh"
}
define_with "s/vda.qcow2/vdx.qcow2/; s/vdb.qcow2/vda.qcow2/; s/vdx.qcow2/vdb.qcow2/"
exchanged=${image[vda]}
image[vda]=${image[vdb]} image[vdb]=$exchanged
follows "exchanged in the definition" "vda=hash-scan(image-replaced) vdb=hash-scan(image-replaced) $raw"
cp "${image[vda]}" "$KIT_TMP/other.qcow2"
put "$KIT_TMP/other.qcow2" 16 5M 64k
define_with "s/vdb.qcow2/other.qcow2/"
image[vda]=$KIT_TMP/other.qcow2
follows "another file by definition" "vda=hash-scan(image-replaced) vdb=bitmap $raw"
follows "from then on" "$both $raw"

# --- machines defined anew ------------------------------------------------------------------------

put "${image[vda]}" 17 5M 64k
virsh -q domrename m1 m2
# libvirt 9.0 moves the records of checkpoints to those of snapshots; they are its own.
rm -rf /var/lib/libvirt/qemu/snapshot/m2
machine=m2
follows "renamed" "$both $raw"
like "renamed: the store has it by its new name" "$(landfall store list "$live_store")" 'm2 '
unlike "renamed: and not by the old one" "$(landfall store list "$live_store")" 'm1 '
virsh -q domrename m2 m1
machine=m1
put "${image[vda]}" 18 5M 64k
virsh -q dumpxml --inactive m1 >"$KIT_TMP/m1.xml"
virsh -q undefine m1 --checkpoints-metadata
virsh -q define "$KIT_TMP/m1.xml" >"$KIT_TMP/.virsh"
follows "defined anew" "vda=hash-scan(checkpoint-missing) vdb=hash-scan(checkpoint-missing) $raw"

# Another machine of the same name has a replica of its own.
old=$(virsh -q domuuid m1 | grep .)
points=$(landfall store list --json "$live_store" "$old" | sha256sum)
virsh -q undefine m1 --checkpoints-metadata
for disk in vda vdb; do
    qemu-img bitmap --remove "${image[$disk]}" "$(bitmaps | sed -n "s/^$disk: //p")"
done
sed -i "s/<uuid>.*</<uuid>$(</proc/sys/kernel/random/uuid)</" "$KIT_TMP/m1.xml"
virsh -q define "$KIT_TMP/m1.xml" >"$KIT_TMP/.virsh"
machine=$(virsh -q domuuid m1 | grep .)
follows "another UUID" "vda=initial vdb=initial vdc=initial"
is "another UUID: the old replica is as it was" \
    "$(landfall store list --json "$live_store" "$old" | sha256sum)" "$points"
fails "another UUID: the name alone is refused" landfall store list "$live_store" m1
for key in "$old" "$machine"; do
    ok "every recovery point of $key is proven" landfall store verify "$live_store" "$key" --all
done

# --- images below others --------------------------------------------------------------------------

guest_make_disk "$KIT_TMP/template.qcow2" qcow2 64M
put "$KIT_TMP/template.qcow2" 1 0 8M
image=([vda]=$KIT_TMP/top.qcow2)
qemu-img create -q -f qcow2 -b template.qcow2 -F qcow2 "${image[vda]}"
chmod 666 "${image[vda]}"
guest_define below --mode idle --disk "vda:qcow2:${image[vda]}"
machine=below
follows "on a template" "vda=initial"
put "${image[vda]}" 2 1M 64k
follows "on a template, written" "vda=bitmap"
put "$KIT_TMP/template.qcow2" 3 2M 64k
follows "the template was written to" "vda=hash-scan(backing-altered)"
like "the template was written to: it says so" "$(why)" "has changed .*template.qcow2"
cp "$KIT_TMP/template.qcow2" "$KIT_TMP/newer.qcow2"
put "$KIT_TMP/newer.qcow2" 3 3M 64k
mv "$KIT_TMP/newer.qcow2" "$KIT_TMP/template.qcow2"
follows "the template was replaced" "vda=hash-scan(backing-altered)"

# The operator's own snapshot is no reason to mistrust a bitmap, nor is what we do below it.
guest_start below
virsh -q snapshot-create-as below outer --disk-only --no-metadata \
    --diskspec "vda,file=$KIT_TMP/outer.qcow2" >"$KIT_TMP/.virsh"
virsh -q destroy --graceful below
image[vda]=$KIT_TMP/outer.qcow2
put "${image[vda]}" 4 1M 64k
follows "an image on top" "vda=bitmap"
put "${image[vda]}" 4 2M 64k
follows "an image on top, again" "vda=bitmap"
follows "an image on top, once more" "vda=bitmap"
bypass "$KIT_TMP/top.qcow2" below $((1 * 1048576))
follows "the image below was written to" "vda=hash-scan(backing-altered)"

# --- internal snapshots ---------------------------------------------------------------------------

# Going back to one would leave the bitmap as it is. QEMU refuses while there are bitmaps, and libvirt
# does not make one while there are checkpoints.
image=([vda]=$KIT_TMP/inner.qcow2)
guest_make_disk "${image[vda]}" qcow2 64M
put "${image[vda]}" 1 0 4M
guest_define inner --mode idle --disk "vda:qcow2:${image[vda]}"
machine=inner
virsh -q snapshot-create-as inner first
put "${image[vda]}" 2 1M 1M
follows "with an internal snapshot" "vda=initial"
fails "it is not gone back to" virsh -q snapshot-revert inner first
fails "nor without libvirt" qemu-img snapshot -q -a first "${image[vda]}"
fails "no other is made" virsh -q snapshot-create-as inner second
put "${image[vda]}" 3 2M 64k
follows "not gone back" "vda=bitmap"
virsh -q checkpoint-delete inner --metadata "$(checkpoints inner)"
fails "it is not gone back to, without checkpoints" virsh -q snapshot-revert inner first
qemu-img bitmap --remove "${image[vda]}" "$(bitmaps | sed "s/vda: //")"
ok "gone back to, without bitmaps" virsh -q snapshot-revert inner first
follows "gone back" "vda=hash-scan(checkpoint-missing)"
done_testing
