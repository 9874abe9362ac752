#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a cycle holds in memory is bounded by its connections, and hardly grows with the disk.

. "$(dirname "$0")/cycles.sh"
[ -z "${LANDFALL_SANITIZED:-}" ] || skip_all "a sanitizer needs more memory than the program"

MIB=1024 # in KiB

measured_cycle() {
    "$LANDFALL_BUILD/bench/measure" --events "$EVENTS" -- landfall-replicate --store "$STORE" \
        --machine "$1" --disk "vda=$KIT_URI" >"$KIT_TMP/figures"
}

# peak MACHINE PLUGIN ARGUMENT…: a cycle of what the nbdkit plugin serves; $peak is the most memory
# it had, in KiB.
peak() {
    local machine=$1
    shift
    start_nbdkit "$KIT_TMP/$machine.sock" "$@"
    ok "a cycle of nbdkit $*" measured_cycle "$machine"
    stop_process "$KIT_PID"
    peak=$(awk -F '\t' '$1 == "peak" { printf "%d", $2 * 1024 }' "$KIT_TMP/figures")
    diag "nbdkit $*: $((peak / MIB)) MiB"
}

# What the program has before there is work: libraries, stacks, buffers of the kernel's interfaces.
peak least memory 1M
least=$peak
peak busy pattern 256M
ok "R11: 4 MiB for each of four connections" [ $((peak - least)) -le $((20 * MIB)) ]
busy=$peak
peak busier pattern 512M
ok "R11: nothing grows with the data" [ $((peak - busy)) -le $((3 * MIB)) ]
peak large memory 1T
ok "R11: 16 bytes for each 16 MiB of the disk" [ $((peak - least)) -le $((12 * MIB)) ]
done_testing
