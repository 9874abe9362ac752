#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A replica becomes the disks of the machine that was started on it, while that writes: kept as it is,
# or merged, which may be killed. Nobody takes the disks for a replica any more.
. "$(dirname "$0")/served.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 256M
qemu-img create -q -f qcow2 "$KIT_TMP/sda.qcow2" 64M
ok "a machine runs" served_start --rate 50 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "sda:qcow2:$KIT_TMP/sda.qcow2"
mkdir "$live_store"
for round in 1 2 3; do
    guest_run web "dd if=/dev/urandom of=/dev/sda bs=1M seek=$((round * 7)) count=10 conv=fsync 2>/dev/null"
    guest_wait_more_acked web 30 20
    cycle web
    is "recovery point $round" "$status" 0
done
guest_destroy web
qemu-img convert -O raw "$KIT_TMP/sda.qcow2" "$KIT_TMP/sda.raw"
served_more='{"operation": 5, "kind": "test", "recovery_point": 3}'
machine_folder=$live_store/$web_uuid
# The console's log of the machine, beside its overlays.
ln -s "$machine_folder/clones/5/console.log" "$KIT_TMP/web-test.console"
ok "a machine runs on the last" served pin clone test-network define start
ok "and writes" guest_wait_acked web-test 60 20

files_of() {
    (cd "$machine_folder" && find disks clones -type f ! -name console.log | sort | tr '\n' ' ')
}
cycle_is_refused() {
    local status
    cycle web
    [ "$status" -eq 1 ] && [[ $messages = *conflict*"handed over"*"another store"* ]]
}

# --- kept ----------------------------------------------------------------------------------------

before=$(files_of)
served_more='{"operation": 5, "kind": "test", "recovery_point": 3, "options": {"disks": "keep"}}'
ok "F45: handed over as it is" served hand-over
is "says how" "$(fact how)" kept
is "every file stays" "$(files_of)" "$before"
ok "it is no replica any more: nothing is replicated into it" cycle_is_refused
fails "nor is it removed" landfall forget --host qemu:///system --machine "$web_uuid" \
    --store "$live_store" --remove-replica --json
ok "its recovery points can be read" landfall store verify "$live_store" web --recovery-point 1
served_more='{"operation": 5, "kind": "test", "recovery_point": 3, "options": {"disks": "burn"}}'
fails "disks are merged or kept" served hand-over

# --- merged --------------------------------------------------------------------------------------

served_more='{"operation": 6, "recovery_point": 1}'
served pin
served_more='{"operation": 5, "kind": "test", "recovery_point": 3, "options": {"copy_mib_s": 8}}'
fails "F45: not while another operation holds a recovery point" served hand-over
like "which is named" "$messages" "operation 6 holds recovery point 1"
served_more='{"operation": 6, "recovery_point": 1}'
served unpin
served_more='{"operation": 5, "kind": "test", "recovery_point": 3, "options": {"copy_mib_s": 8}}'
ok "a merge is killed on its way" served_killed hand-over 1
ok "F45: it is no replica any more" cycle_is_refused
ok "the machine runs on" guest_wait_more_acked web-test 30 10
served_more='{"operation": 5, "kind": "test", "recovery_point": 3}'
ok "F47: once more" served hand-over
is "says how" "$(fact how) $(fact 'disks[1].format')" "merged raw"
for disk in vda sda; do
    ok "$disk is the base alone" disk_is web-test $disk "$machine_folder/disks/$disk/base.raw"
done
is "no other file is left" "$(files_of)" "disks/sda/base.raw disks/vda/base.raw "
ok "F48: the machine runs on" guest_wait_more_acked web-test 30 20
ok "once more changes nothing" served hand-over
ok "nobody takes it for a replica" cycle_is_refused
acked=$(guest_acked web-test)
virsh -q destroy web-test
ok "F49: no record is lost" record-check --at-least "$acked" "$machine_folder/disks/vda/base.raw"
ok "nor anything else" cmp "$KIT_TMP/sda.raw" "$machine_folder/disks/sda/base.raw"
virsh -q start web-test
ok "it starts again on its own disks" guest_wait_more_acked web-test 60 20
done_testing
