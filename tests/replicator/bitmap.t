#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cycles by dirty bitmap, as qemu-nbd serves them from a qcow2 image: the bitmap narrows, the hash
# decides, and a bitmap that is not there, does not fit or lies costs a scan and never the truth.

. "$(dirname "$0")/cycles.sh"
requires qemu-nbd qemu-io

disk=$KIT_TMP/vda.qcow2
BLOCKS=512 # of 64 KiB
size=$((BLOCKS * 65536))

write_blocks() {
    local range
    for range; do
        qemu-io -f qcow2 -c "write -P $((RANDOM % 255 + 1)) ${range%,*} ${range#*,}" "$disk" \
            >"$KIT_TMP/qemu-io"
    done
}

# run_cycle NUMBER ARGUMENT…: serves the image as it is with its bitmap, keeps a copy, runs a cycle.
run_cycle() {
    local number=$1
    shift
    mkdir -p "$COPIES/$number"
    qemu-img convert -f qcow2 -O raw "$disk" "$COPIES/$number/vda"
    start_qemu_nbd "$KIT_TMP/vda.sock" -r -f qcow2 -B bm0 "$disk"
    commits "recovery point $number" --disk "vda=$KIT_URI" "$@"
    stop_process "$KIT_PID"
}

next_bitmap() {
    qemu-img bitmap --clear "$disk" bm0
}

qemu-img create -q -f qcow2 "$disk" "$size"
write_blocks 0,4M 8M,4M 20M,1M
qemu-img bitmap --add --granularity 65536 "$disk" bm0
run_cycle 1 --bitmap vda=bm0
is "a first cycle needs no bitmap" "$(figure vda mode)" initial

# Two blocks change, one is written with what it had, one becomes zero, one is discarded.
next_bitmap
write_blocks 1M,64k 30M,512
qemu-io -f qcow2 -c 'write -z 8M 64k' -c 'discard 9M 64k' "$disk" \
    >"$KIT_TMP/qemu-io"
dd if="$COPIES/1/vda" of="$KIT_TMP/same" bs=1k skip=20544 count=64 status=none
qemu-io -f qcow2 -c "write -s $KIT_TMP/same 20544k 64k" "$disk" >"$KIT_TMP/qemu-io"
run_cycle 2 --bitmap vda=bm0
is "bitmap: mode" "$(figure vda mode)" bitmap
is "bitmap: no cause" "$(figure vda demotion_cause)" ""
is "bitmap: candidates" "$(figure vda candidate_bytes)" $((5 * 65536))
is "R4: bitmap: sent" "$(figure vda sent_bytes)" $((2 * 65536))
is "bitmap: changed" "$(figure vda changed_blocks)" 4
is "bitmap: became zero" "$(figure vda zero_blocks)" 2
is "bitmap: audited" "$(figure vda audited_blocks)" 16
is "bitmap: no misses" "$(figure vda audit_misses)" 0
# shellcheck disable=SC2016  # jq's
is "the plan says so" "$(event plan '"\(.mode) \(.candidate_bytes)"')" "bitmap $((5 * 65536))"

next_bitmap
run_cycle 3 --bitmap vda=bm0 --audit-blocks 0
is "empty bitmap: nothing read" "$(figure vda read_bytes)" 0
is "R8: empty bitmap: the layer before" "$(figure vda layer)" 000002.qcow2
is "empty bitmap: not audited" "$(figure vda audited_blocks)" 0

# A discard of a long range is asked for, not read; what is written in it again is read.
next_bitmap
qemu-io -f qcow2 -c 'discard 0 12M' "$disk" >"$KIT_TMP/qemu-io"
write_blocks 6M,64k
run_cycle 4 --bitmap vda=bm0
is "long discard: mode" "$(figure vda mode)" bitmap
ok "long discard: holes are not read" [ "$(figure vda read_bytes)" -le $((4 * 65536)) ]

# A finer bitmap than our blocks names parts of them.
qemu-img bitmap --remove "$disk" bm0
qemu-img bitmap --add --granularity 4096 "$disk" bm0
write_blocks 24M,4k 25165823,2 16842752,512
run_cycle 5 --bitmap vda=bm0
is "fine bitmap: mode" "$(figure vda mode)" bitmap
is "fine bitmap: whole blocks" "$(figure vda candidate_bytes)" $((3 * 65536))

# A bitmap that nobody offers.
next_bitmap
write_blocks 3M,64k
run_cycle 6 --bitmap vda=other
is "not offered: mode" "$(figure vda mode)" hash-scan
is "R6: not offered: cause" "$(figure vda demotion_cause)" bitmap-not-offered
like "not offered: detail" "$(figure vda demotion_detail)" "qemu:dirty-bitmap:other"
is "not offered: only what changed is sent" "$(figure vda sent_bytes)" 65536

run_cycle 7 --bitmap vda=bm0 --full-scan
is "asked for: cause" "$(figure vda demotion_cause)" requested
is "asked for: the layer before" "$(figure vda layer)" 000006.qcow2

# A bitmap that lies: a change it did not see. With half of the disk as the sample it is caught in
# this very cycle; the warning says so.
next_bitmap
qemu-img bitmap --disable "$disk" bm0
write_blocks 31M,256k
qemu-img bitmap --enable "$disk" bm0
write_blocks 15M,64k
run_cycle 8 --bitmap vda=bm0 --audit-blocks $((4 * BLOCKS))
is "lie: mode" "$(figure vda mode)" hash-scan
is "R6: lie: cause" "$(figure vda demotion_cause)" audit-missed
is "lie: misses" "$(figure vda audit_misses)" 4
like "lie: detail" "$(figure vda demotion_detail)" "^block (49[6-9]) changed"
is "lie: warning" "$(event warning .code)" audit-missed
is "lie: what changed is sent" "$(figure vda sent_bytes)" $((5 * 65536))

# The same lie with no audit is what the audit is for: this shows that the tool above is sharp.
next_bitmap
qemu-img bitmap --disable "$disk" bm0
write_blocks 31M,64k
qemu-img bitmap --enable "$disk" bm0
run_cycle 9 --bitmap vda=bm0 --audit-blocks 0
is "lie without audit: nothing seen" "$(figure vda changed_blocks)" 0
fails "lie without audit: not the copy" point_is 9 vda "$COPIES/9/vda"
next_bitmap
run_cycle 10 --bitmap vda=bm0 --audit-blocks $((4 * BLOCKS))
is "found a cycle later" "$(figure vda demotion_cause)" audit-missed
rm -r "$COPIES/9" "$(manifest 9)"

# The disk grows: the bitmap is of no use, the scan sends what is new.
qemu-img bitmap --remove "$disk" bm0
qemu-img resize -q -f qcow2 "$disk" $((size + 65536 + 512))
qemu-img bitmap --add --granularity 65536 "$disk" bm0
write_blocks $((size + 65536)),512
run_cycle 11 --bitmap vda=bm0
is "R6: grown: cause" "$(figure vda demotion_cause)" size-changed
like "grown: detail" "$(figure vda demotion_detail)" "^$size bytes before, $((size + 66048)) now"
is "grown: sent" "$(figure vda sent_bytes)" 512
next_bitmap
write_blocks $((size + 65536)),512
run_cycle 12 --bitmap vda=bm0
is "after growing: by bitmap again" "$(figure vda mode)" bitmap
is "after growing: the short last block" "$(figure vda sent_bytes)" 512

ok "every recovery point is its copy" all_points_are_copies 1 2 3 4 5 6 7 8 10 11 12
is "nothing is left over" "$(leftovers)" ""
done_testing
