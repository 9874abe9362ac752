#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The connections to a running guest's snapshot are cut while a cycle reads it: the cycle connects
# again to the same snapshot, commits it, and leaves nothing on the host. With LANDFALL_LONG=1 also
# connections that stay away: the cycle gives up in time, and the next one is a delta by bitmap.

. "$(dirname "$0")/../appliance/live.sh"
requires strace

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
# Data that nobody writes to: something to read.
dd if=/dev/urandom of="$KIT_TMP/random.raw" bs=1M count=24 status=none
qemu-img convert -f raw -O qcow2 "$KIT_TMP/random.raw" "$KIT_TMP/sda.qcow2"
guest_define m1 --mode writer --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "sda:qcow2:$KIT_TMP/sda.qcow2"
guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 20

# cut WHEN OPTION…: a cycle that is cut there; $cuts is how many times.
cut() {
    local when=$1 child
    shift
    acked=$(guest_acked m1)
    begin_cycle m1 --bandwidth 8 "$@"
    ok "$name: the cycle reads" cycle_reaches plan
    child=$(pgrep -P "$cycle_pid" | tail -n 1)
    start_background strace -f -qq -o "$KIT_TMP/trace" -p "$child" -e trace=recvfrom \
        -e inject=recvfrom:error=ECONNRESET:when="$when"
    end_cycle
    cuts=$(grep -c INJECTED "$KIT_TMP/trace" || true)
    diag "$name: $cuts cuts"
}

# went_on: the cycle that was cut committed its snapshot.
went_on() {
    local disk
    cycle_ok "$name"
    ok "$name: connections were cut" [ "$cuts" -ge 2 ]
    like "$name: is said" "$messages" "warning source-reconnected: (vda|sda) lost the connection"
    is "$name: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
    for disk in vda sda; do
        ok "$name: export $disk" export_disk m1 0 $disk
    done
    same_as_independent "$name" vda sda
    ok "$name: has all that was acknowledged" record-check --at-least "$acked" "$KIT_TMP/copy.vda"
    ok "$name: is proven" landfall store verify "$live_store" m1
}

name="first cycle"
cut 20+40 --on-snapshot "$live_hook"
went_on
name="later cycle"
guest_wait_more_acked m1 30 100
cut 20+120 --on-snapshot "$live_hook" --full-scan
went_on

if [ -n "${LANDFALL_LONG:-}" ]; then
    name="cut for good"
    guest_wait_more_acked m1 30 20
    cut 20+1 --full-scan
    is "$name: status" "$status" 1
    like "$name: says so" "$messages" "error source:.*lost the connection to .*, and no new one for 20 s"
    is "$name: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
    cycle m1
    cycle_ok "after it"
    is "after it: by bitmap" "$(modes)" "vda=bitmap sda=bitmap"
fi
ok "every recovery point is proven" landfall store verify "$live_store" m1 --all
done_testing
