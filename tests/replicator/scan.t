#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cycles without a bitmap: the first copies everything, later ones read everything and keep what
# differs; each recovery point is the source as it was, and stock tools prove it.

. "$(dirname "$0")/cycles.sh"

disk=$KIT_TMP/vda.raw
MIB=$((1 << 20))
size=$((10 * MIB + 512))
truncate -s "$size" "$disk"
random_bytes "$disk" 0 $((3 * MIB))
random_bytes "$disk" $((5 * MIB + 4096)) 512
random_bytes "$disk" $((size - 512)) 512
start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
vda=(--disk "vda=$KIT_URI")

keep_copy 1 vda "$disk"
commits "first cycle" "${vda[@]}"
is "first cycle: mode" "$(figure vda mode)" initial
is "first cycle: no cause" "$(figure vda demotion_cause)" ""
is "first cycle: sends what is not zero" "$(figure vda sent_bytes)" $((3 * MIB + 65536 + 512))
ok "first cycle: holes are not read" [ "$(figure vda read_bytes)" -lt $((4 * MIB)) ]
ok "first cycle: the base is sparse" \
    [ "$(($(stat -c %b "$STORE/$MACHINE/disks/vda/base.raw") * 512))" -lt $((4 * MIB)) ]
is "events end with a result" "$(jq -r .event "$EVENTS" | tail -n 1)" result
is "commit comes after the source is done" \
    "$(jq -r .event "$EVENTS" | grep -E '^(plan|source-done|committed|result)$' | tr '\n' ' ')" \
    "plan source-done committed result "
is "progress ends at the end" \
    "$(event progress '"\(.done_bytes) \(.total_bytes)"')" "$size $size"

# Changed, become zero by writing, by discarding; a changed tail; a change of one byte's block.
random_bytes "$disk" $((MIB + 512)) 512
zero_bytes "$disk" $((2 * MIB)) 65536
discard_bytes "$disk" $((2 * MIB + 131072)) 131072
discard_bytes "$disk" $((5 * MIB)) 65536
random_bytes "$disk" $((8 * MIB)) 131072
random_bytes "$disk" $((size - 512)) 512
keep_copy 2 vda "$disk"
commits "hash scan" "${vda[@]}"
is "hash scan: mode" "$(figure vda mode)" hash-scan
is "hash scan: cause" "$(figure vda demotion_cause)" no-bitmap
is "R4: hash scan: sends what differs" "$(figure vda sent_bytes)" $((3 * 65536 + 512))
is "hash scan: changed blocks" "$(figure vda changed_blocks)" 8
is "hash scan: blocks that became zero" "$(figure vda zero_blocks)" 4
is "hash scan: candidates" "$(figure vda candidate_bytes)" "$size"

# The same content written again is no change: no layer, no journal.
dd if="$disk" of="$KIT_TMP/same" bs=1M count=1 status=none
dd if="$KIT_TMP/same" of="$disk" bs=1M conv=notrunc status=none
keep_copy 3 vda "$disk"
before=$(find "$STORE/$MACHINE/disks" -type f -printf "%P %s %T@\n" | sort)
commits "nothing changed" "${vda[@]}"
is "nothing changed: nothing sent" "$(figure vda sent_bytes)" 0
is "nothing changed: the layer before" "$(figure vda layer)" 000002.qcow2
is "R8: nothing changed: no file of the disk is touched" \
    "$(find "$STORE/$MACHINE/disks" -type f -printf "%P %s %T@\n" | sort)" "$before"

# Everything becomes zero, and then something again.
discard_bytes "$disk" 0 "$size"
keep_copy 4 vda "$disk"
commits "all discarded" "${vda[@]}"
ok "all discarded: holes are not read" [ "$(figure vda read_bytes)" -le 512 ]
is "all discarded: nothing is sent" "$(figure vda sent_bytes)" 0
is "all discarded: each block is zero" "$(figure vda zero_blocks)" "$(figure vda changed_blocks)"
random_bytes "$disk" $((9 * MIB)) $((MIB + 512))
keep_copy 5 vda "$disk"
commits "the tail after zeros" "${vda[@]}"
is "the tail after zeros: sent" "$(figure vda sent_bytes)" $((MIB + 512))

ok "every recovery point is its copy" all_points_are_copies 1 2 3 4 5
is "nothing is left over" "$(leftovers)" ""

# A store is files: it works under another path, and after rsync.
cp -a "$STORE" "$KIT_TMP/moved"
mv "$STORE" "$KIT_TMP/hidden"
for number in 1 2 3 4 5; do
    layer=$(jq -r '.disks[0].layer' "$KIT_TMP/moved/$MACHINE/recovery-points/00000$number.json")
    ok "recovery point $number elsewhere, by qemu-img alone" qemu-img convert -O raw \
        -f "$(layer_format "$layer")" "$KIT_TMP/moved/$MACHINE/disks/vda/$layer" "$KIT_TMP/out.raw"
    ok "recovery point $number elsewhere: content" cmp "$KIT_TMP/out.raw" "$COPIES/$number/vda"
done
mv "$KIT_TMP/hidden" "$STORE"
done_testing
