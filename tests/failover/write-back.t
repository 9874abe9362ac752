#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disks of a machine that was moved away are brought up to date for its way back: by what the layers
# since then have, read back, again after a kill; never over what somebody else wrote to them.
. "$(dirname "$0")/steps.sh"
requires nbdkit qemu-io

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.raw" raw 24M
guest_define m1 --mode writer --rate 30 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw"
before=$(definition_of m1)
uuid=$(virsh -q domuuid m1 | grep .)
guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 20
step shutdown m1
step_ok "it is shut down"
cycle m1 --final
cycle_ok "the last cycle"
step write-back m1
like "F17: a machine that may run here is not written" "$messages" \
    'error conflict: machine m1 on host here is not marked as moved away'
step fence m1
step_ok "it is fenced"
step write-back m1
step_ok "F17: nothing since then"
is "F17: nothing was to do" "$(fact already) $(fact from_point) $(fact to_point)" "true 1 1"

step clean-source m1
step_ok "its replication is forgotten there"
is "no checkpoint is left" "$(checkpoints m1)" ""
step write-back m1
is "F17: that changes nothing" "$(fact already) $(fact from_point) $(fact to_point)" "true 1 1"

# --- elsewhere it goes on: two recovery points more ---------------------------------------------

for disk in vda vdb; do
    export_disk m1 0 $disk
    cp "$KIT_TMP/copy.$disk" "$KIT_TMP/there.$disk"
    start_nbdkit "$KIT_TMP/nbd.$disk" file "$KIT_TMP/there.$disk"
    there+=(--disk "$disk=$KIT_URI")
done

# change DISK COMMAND…: of qemu-io.
change() {
    local disk=$1 words=()
    shift
    for command; do words+=(-c "$command"); done
    qemu-io -f raw "${words[@]}" "$KIT_TMP/there.$disk" >/dev/null
}

cycle_there() {
    landfall cycle --machine "$uuid" --store "$live_store" "${there[@]}" --json >"$KIT_TMP/there.events"
}

as_there() {
    ok "$1: vda is what it is there" qemu-img compare -q -F raw "$KIT_TMP/vda.qcow2" "$KIT_TMP/there.vda"
    ok "$1: vdb is what it is there" cmp "$KIT_TMP/vdb.raw" "$KIT_TMP/there.vdb"
}

change vda 'write -P 1 1M 300k' 'write -P 2 40M 4M' 'write -z 5M 1M' 'write -P 3 47M 1M'
change vdb 'write -P 4 0 64k' 'write -P 5 23M 1M'
ok "there: a cycle" cycle_there
cp "$KIT_TMP/there.vda" "$KIT_TMP/second.vda"
change vda 'write -z 41M 1M' 'write -P 6 1100k 8k'
ok "there: another" cycle_there

# --- back ---------------------------------------------------------------------------------------

begin_step write-back m1
until pgrep qemu-storage >/dev/null || process_is_gone "$step_pid"; do :; done
kill -s KILL "$step_pid" 2>/dev/null || true
end_step
step write-back m1
step_ok "F12, F17: killed, and run again"
is "F17: from what they held, to the latest" "$(fact from_point) $(fact to_point)" "1 3"
as_there "F17: it is written back"
ok "F17: no more than what had changed" test "$(fact bytes)" -le $((9 * 1024 * 1024))
ok "F17: zeros are zeros" test "$(fact zero_blocks)" -ge 16
is "F17: it is fenced still" "$(definition_of m1 | grep -c 'state="gone"')" 1
ok "F17: no server is left" eval '! pgrep qemu-storage >/dev/null'
is "F17: no file is left" "$(live_files)" ""
step write-back m1
is "F12, F17: once more" "$(fact already) $(fact from_point) $(fact to_point)" "true 3 3"

# Somebody ended it on its way to the third point, and wants the second now.
virsh dumpxml --inactive m1 | sed -E '/urn:landfall:fence/ { s/ point="3"/ point="1"/; s/ disks="[^"]*"/ disks="writing"/ }' \
    >"$KIT_TMP/half.xml"
ok "it is noted as half written" grep -q 'point="1" disks="writing"' "$KIT_TMP/half.xml"
virsh -q define "$KIT_TMP/half.xml" >/dev/null
step write-back m1 '{"recovery_point": 2}'
step_ok "F17: half written, to another point"
is "F17: half written, to another point: all is compared" "$(fact from_point) $(fact to_point)" "0 2"
ok "F17: vda is what it was at that point" qemu-img compare -q -F raw "$KIT_TMP/vda.qcow2" "$KIT_TMP/second.vda"
step write-back m1
step_ok "F17: and on to the latest"
as_there "F17: the latest again"

# --- what others wrote --------------------------------------------------------------------------

change vdb 'write -P 7 1M 64k'
ok "there: a third cycle" cycle_there
qemu-io -c 'write -P 9 2M 64k' "$KIT_TMP/vda.qcow2" >/dev/null
step write-back m1
is "F17: written by another: it fails" "$status" 1
like "F17: written by another: it says so" "$messages" 'error conflict: the disks of machine m1 on host here are not as they were'
step write-back m1 '{"options": {"overwrite": true}}'
step_ok "F17: it may be overwritten"
is "F17: all was compared, and what differed was written" "$(fact from_point) $(fact blocks)" "0 2"
as_there "F17: overwritten"

qemu-io -r -c 'sleep 20000' "$KIT_TMP/vda.qcow2" >/dev/null 2>&1 &
reader=$!
change vdb 'write -P 8 1M 64k'
ok "there: a fourth cycle" cycle_there
step write-back m1
like "F17: in use by another: it says so" "$messages" 'error source: machine m1: its disks cannot be opened for writing'
stop_process $reader
step write-back m1
step_ok "F17: in use no more"
as_there "F17: in use no more"

qemu-img resize -q -f raw "$KIT_TMP/there.vdb" 25M
ok "there: a larger disk" cycle_there
step write-back m1
like "F17: another size is refused" "$messages" \
    'error unsupported: disk vdb: the disk has 25165824 bytes, and at the recovery point 26214400 give the disk'

step unfence m1
step_ok "F11: it is taken back"
is "F11: its definition is what it was" "$(definition_of m1)" "$before"
done_testing
