#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The last cycle before a move: the machine must be off, what it holds is proven at the source and in
# the replica before the commit, and a replica that does not hold it is never committed.
. "$(dirname "$0")/../appliance/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.raw" raw 24M
guest_define m1 --mode writer --rate 30 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw"

guest_start m1
ok "the guest boots" guest_wait_ready m1
cycle m1
cycle_ok "a cycle while it runs"
is "it is not proven, and says so" "$(disk_of vda verified)" null
ok "the guest writes" guest_wait_acked m1 30 20

cycle m1 --final
is "F16: running: a last cycle is refused" "$status" 1
like "running: it says why" "$messages" 'error conflict:  machine m1 is running shut it down first'
is "running: nothing is left of it" "$(left_on_host m1)" "$nothing_left"

ok "the guest is shut down" guest_shutdown m1
acked=$(guest_acked m1)
cycle m1 --final
cycle_ok "off: the last cycle"
echo "$result" | jq -c .timings | diag
is "off: consistency" "$(jq -r .consistency <<<"$result")" shutdown
is "F16: off: what was sent is proven" "$(disk_of vda verified.mode) $(disk_of vdb verified.mode)" \
    "transferred transferred"
done_testing
