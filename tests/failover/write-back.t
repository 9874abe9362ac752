#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disks of a machine that was moved away are brought up to date for its way back: by what the layers
# since then have, proven and read back, again after a kill; never over what somebody else wrote to them.
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

# --- back ---------------------------------------------------------------------------------------

step write-back m1
step_ok "F17: it is written back"
is "F17: from what they held, to the latest" "$(fact from_point) $(fact to_point)" "1 2"
as_there "F17: written back"
ok "F17: no more than what had changed" test "$(fact bytes)" -le $((8 * 1024 * 1024))

change vda 'write -z 41M 1M' 'write -P 6 1100k 8k'
ok "there: another" cycle_there
begin_step write-back m1
until pgrep qemu-storage >/dev/null || process_is_gone "$step_pid"; do :; done
kill -s KILL "$step_pid" 2>/dev/null || true
end_step
step write-back m1
step_ok "F12, F17: killed, and run again"
as_there "F12, F17: killed, and run again"
is "F17: it is fenced still" "$(definition_of m1 | grep -c 'state="gone"')" 1
ok "F17: no server is left" eval '! pgrep qemu-storage >/dev/null'
is "F17: no file is left" "$(live_files)" ""
step write-back m1
is "F12, F17: once more" "$(fact already) $(fact from_point) $(fact to_point)" "true 3 3"

# Somebody wants the second point now.
step write-back m1 '{"recovery_point": 2}'
step_ok "F17: to an older point"
is "F17: to an older point: all is compared" "$(fact from_point) $(fact to_point)" "0 2"
ok "F17: vda is what it was at that point" qemu-img compare -q -F raw "$KIT_TMP/vda.qcow2" "$KIT_TMP/second.vda"

# --- a store that is damaged ----------------------------------------------------------------------

# layer_place BLOCK: where the latest layer of vda has its data, and the entry of its table that says so.
layer=$live_store/$uuid/disks/vda/000003.qcow2
layer_place() {
    python3 - "$layer" "$1" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "rb") as layer:
    def number(offset):
        layer.seek(offset)
        return struct.unpack(">Q", layer.read(8))[0] & 0x00FFFFFFFFFFFE00
    entry = number(number(40)) + 8 * int(sys.argv[2])
    print(number(entry), entry)
PYTHON
}

read -r data entry <<<"$(layer_place 17)" # 1100k
flip "$layer" $((data + 16384))
step write-back m1
is "R16, F17: rot in the store: it fails" "$status" 1
like "R16, F17: rot in the store: it says where" "$messages" \
    'error corrupt: disk vda: block 17 \(byte 1114112\) of recovery point 3 is damaged in the store.*store verify'
unlike "F17: rot is not written" "$(qemu-io -r -c 'read -P 1 1130496 512' "$KIT_TMP/vda.qcow2")" 'failed'
is "F17: it is noted as half written" "$(definition_of m1 | grep -c 'disks="writing"')" 1
# Then somebody writes where no layer has anything, which nobody knows.
qemu-io -c 'write -P 9 20M 64k' "$KIT_TMP/vda.qcow2" >/dev/null
flip "$layer" $((data + 16384))
step write-back m1
step_ok "F17: half written"
is "F17: half written: all is compared" "$(fact from_point) $(fact to_point)" "0 3"
ok "F17: zeros are zeros" test "$(fact zero_blocks)" -ge 16
as_there "F17: half written, and by another, too"

step write-back m1 '{"recovery_point": 2}'
step write-back m1 '{"recovery_point": 2}'
step_ok "F17: to the older point again"
cp "$layer" "$KIT_TMP/layer"
printf '\0\0\0\0\0\0\0\0' | dd of="$layer" bs=1 seek="$entry" conv=notrunc status=none
step write-back m1
like "R16, F17: a table that hides a block" "$messages" 'error corrupt: disk vda: layer .*000003.qcow2: it does not hold the blocks that its journal names'
cp "$KIT_TMP/layer" "$layer"
step write-back m1
step_ok "F17: mended"
as_there "F17: mended"

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

# As libvirt reaches another host, with this one at the other end.
cat >"$KIT_TMP/ssh" <<'SSH'
#!/bin/bash
while [ "$1" != elsewhere ]; do shift; done
shift
exec sh -c "$*"
SSH
chmod +x "$KIT_TMP/ssh"
step unfence-home m1 "{\"source\": {\"uri\": \"qemu+ssh://elsewhere/system?command=$KIT_TMP/ssh\"}}"
like "F18: disks that are not files of this machine" "$messages" \
    'error conflict: .* cannot be brought up to date: what its disks hold is not known.*virsh undefine'

qemu-img resize -q -f raw "$KIT_TMP/there.vdb" 25M
ok "there: a larger disk" cycle_there
step write-back m1
like "F17: another size is refused" "$messages" \
    'error unsupported: disk vdb: the disk has 25165824 bytes, and at the recovery point 26214400 give the disk'

step unfence m1
step_ok "F11: it is taken back"
is "F11: its definition is what it was" "$(definition_of m1)" "$before"
done_testing
