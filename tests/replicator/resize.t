#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks that grow, shrink and grow again, whole blocks or not, with and without retention: a tail
# that was cut off never comes back.

. "$(dirname "$0")/cycles.sh"

disk=$KIT_TMP/vda.raw
start_server() {
    start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
}
number=0
# cycle_at SIZE ARGUMENT…: the disk as it is by now, which has that size.
cycle_at() {
    local size=$1
    shift
    number=$((number + 1))
    truncate -s "$size" "$disk"
    keep_copy $number vda "$disk"
    commits "recovery point $number of $size bytes" --disk "vda=$KIT_URI" "$@"
    is "size of $number" "$(figure vda size_bytes)" "$size"
}

K=1024
truncate -s $((1024 * K)) "$disk"
random_bytes "$disk" 0 $((1024 * K))
start_server
cycle_at $((1024 * K))
# Shrunk within a block, grown back over the same place with zeros, then with data.
cycle_at $((512 * K + 512))
is "shrunk: cause" "$(figure vda demotion_cause)" size-changed
is "shrunk: sends the block that was cut, no more" "$(figure vda sent_bytes)" 512
cycle_at $((1024 * K))
is "regrown with zeros: sends the block that was cut" "$(figure vda sent_bytes)" 65536
random_bytes "$disk" $((768 * K)) 65536
cycle_at $((1024 * K))
# Shrunk to whole blocks; nothing else changed. And to one sector; and far up.
cycle_at $((256 * K))
is "shrunk to whole blocks: sends nothing" "$(figure vda sent_bytes)" 0
cycle_at $((256 * K + 1024))
cycle_at 512
cycle_at $((64 * K - 512))
cycle_at $((64 * K))
cycle_at $((64 * K + 512))
random_bytes "$disk" 512 $((64 * K))
cycle_at $((64 * K + 512))
# More than one L2 table (512 MiB each) and hash page (16 MiB each), mostly holes.
truncate -s $((1100 * K * K)) "$disk"
random_bytes "$disk" $((536870912 - 65536)) 131072
random_bytes "$disk" $((1100 * K * K - 512)) 512
cycle_at $((1100 * K * K))
is "large: sent" "$(figure vda sent_bytes)" $((3 * 65536 + 65536))
random_bytes "$disk" $((1024 * K * K)) 65536
zero_bytes "$disk" $((536870912 - 65536)) 65536
cycle_at $((1100 * K * K))
cycle_at $((20 * K * K + 512))
cycle_at $((700 * K * K))
is "large, regrown: nothing old comes back" "$(figure vda sent_bytes)" 0
is "numbers" "$number" 15
# shellcheck disable=SC2046
ok "every recovery point is its copy" all_points_are_copies $(seq 1 15)

# Retention merges through all of these sizes, one by one and then at once.
for keep in 14 13 12 11 10 9 8; do
    number=$((number + 1))
    keep_copy $number vda "$disk"
    commits "retain $keep" --disk "vda=$KIT_URI" --retain $keep
    # shellcheck disable=SC2046
    ok "retain $keep: every recovery point is its copy" \
        all_points_are_copies $(seq $((number - keep + 1)) $number)
done
is "nothing is left over" "$(leftovers)" ""
random_bytes "$disk" $((300 * K * K)) 65536
cycle_at $((300 * K * K + 65536 + 512)) --retain 2
ok "retain 2: every recovery point is its copy" all_points_are_copies $((number - 1)) $number
cycle_at $((300 * K * K + 65536 + 512)) --retain 1
ok "retain 1: the recovery point is its copy" all_points_are_copies $number
is "retain 1: one file" "$(cd "$STORE/$MACHINE/disks/vda" && echo *)" "base.raw block-map"
cycle_at $((300 * K * K)) --retain 1
ok "retain 1: the next is its copy" all_points_are_copies $number
done_testing
