#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Servers whose block status is not what the protocol asks for: the replica is what can be read from
# them, or the cycle fails with a word about the source. Nothing crashes, hangs or is left out.

. "$(dirname "$0")/../replicator/cycles.sh"
requires perl

disk=$KIT_TMP/vda.raw
truncate -s $((5 << 20)) "$disk"
random_bytes "$disk" 0 $((2 << 20))
random_bytes "$disk" $((4 << 20)) 65536

# served HOW: one cycle of the disk from a server that lies so.
served() {
    name=$1
    STORE=$KIT_TMP/store.$1
    start_background perl tests/faults/liar-server.pl "$KIT_TMP/$1.sock" "$disk" "$1"
    wait_for 20 test -S "$KIT_TMP/$1.sock"
    cycle --disk "vda=nbd+unix:///?socket=$KIT_TMP/$1.sock" --reconnect-seconds 0
}

outcomes=()
for how in good beyond-end far-beyond in-pieces odd-pieces unknown-flags many empty-last repeated \
    empty-first half-a-pair all-empty nothing no-chunk other-context both-contexts; do
    served $how
    if [ "$status" -eq 0 ]; then
        ok "$name: the replica is the disk" point_is 1 vda "$disk"
    else
        refused "$name" 1 source "^disk vda: cannot "
        is "$name: no recovery point" "$(recovery_points)" ""
    fi
    outcomes+=("$how:$status")
done
# The first ones are what a server may do, however strange; the last ones cannot be worked with.
is "who can be worked with" "${outcomes[*]:0:7}" \
    "good:0 beyond-end:0 far-beyond:0 in-pieces:0 odd-pieces:0 unknown-flags:0 many:0"
is "who cannot" "${outcomes[*]: -6:4}" "half-a-pair:1 all-empty:1 nothing:1 no-chunk:1"
diag "${outcomes[*]}"
done_testing
