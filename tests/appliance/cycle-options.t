#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The options of landfall cycle and the life of a machine between cycles: disks left out and taken
# in again, added, removed and grown, a guest that was off, sources without libvirt; and what
# landfall store makes of it all.
. "$(dirname "$0")/live.sh"
requires script

MIB=$((1 << 20))
guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.qcow2" qcow2 32M
guest_make_disk "$KIT_TMP/vdc.qcow2" qcow2 16M
chmod 666 "$KIT_TMP"/vd?.qcow2
guest_define m1 --mode idle --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:qcow2:$KIT_TMP/vdb.qcow2"
# A drive with a disc in it, as machines have them: no part of the replica, and nobody is asked.
qemu-img create -q -f raw "$KIT_TMP/disc.iso" 2M
virsh -q attach-disk m1 "$KIT_TMP/disc.iso" hdc --type cdrom --mode readonly --config >"$KIT_TMP/out"
uuid=$(virsh domuuid m1)
guest_start m1
ok "the guest boots" guest_wait_ready m1
guest_write m1 vda 0 $((4 * MIB)) first
guest_write m1 vdb $MIB $((2 * MIB)) first

# right NAME MODES OPTION…: a cycle in those modes whose recovery point is what the hook copied.
right() {
    local name=$1 expected=$2 disk
    shift 2
    cycle m1 --on-snapshot "$live_hook" "$@"
    cycle_ok "$name: the cycle"
    is "$name: its modes" "$(modes)" "$expected"
    for disk in $(jq -r '.disks[].name' <<<"$result"); do
        ok "$name: export $disk" export_disk m1 0 "$disk"
        same_as_independent_one "$name" "$disk"
    done
    is "$name: the hook saw the same disks" "$(find "$KIT_TMP" -name 'independent.*')" ""
}

same_as_independent_one() {
    ok "$1: $2 equals the independent copy" cmp "$KIT_TMP/copy.$2" "$KIT_TMP/independent.${2^^}"
    rm -f "$KIT_TMP/independent.${2^^}"
}

right "first, without the disc" "vda=initial vdb=initial"
is "A3: the guest is let go before the commit" \
    "$(jq -r .event "$KIT_TMP/cycle.events" | grep -xE 'snapshot-ended|committed' | tr '\n' ' ')" \
    "snapshot-ended committed "
guest_write m1 vda $((8 * MIB)) $MIB second

# --- disks come and go --------------------------------------------------------------------------

right "vdb left out" "vda=bitmap" --exclude-disk vdb
guest_write m1 vdb $((6 * MIB)) $MIB second
guest_write m1 vda $((16 * MIB)) $MIB third
right "vdb taken in again" "vda=bitmap vdb=hash-scan(disk-was-away)"
is "vdb taken in again: only what changed is sent" "$(disk_of vdb changed_blocks)" 16
right "and again" "vda=bitmap vdb=bitmap"

qemu-img create -q -f raw "$KIT_TMP/shared.raw" 1M
chmod 666 "$KIT_TMP/shared.raw"
virsh -q attach-disk m1 "$KIT_TMP/shared.raw" vdd --mode shareable --live >"$KIT_TMP/out"
before=$(checkpoints m1)
cycle m1
is "A4: a disk that cannot be replicated: status" "$status" 1
like "A4: a disk that cannot be replicated: what to do" "$messages" \
    '^error unsupported: .*vdd cannot be replicated: shared .*--exclude-disk'
is "A4: a disk that cannot be replicated: no snapshot was made" \
    "$(jq -r .event "$KIT_TMP/cycle.events" | grep -c snapshot) $(checkpoints m1)" "0 $before"
right "the same, left out" "vda=bitmap vdb=bitmap" --exclude-disk vdd
virsh -q detach-disk m1 vdd --live >"$KIT_TMP/out"
ok "vdd is gone from the guest" wait_for 10 guest_run m1 '[ ! -b /dev/vdd ]'

virsh -q attach-disk m1 "$KIT_TMP/vdc.qcow2" vdc --subdriver qcow2 --live --config >"$KIT_TMP/out"
ok "the guest sees vdc" wait_for 10 guest_run m1 '[ -b /dev/vdc ]'
guest_write m1 vdc $MIB $MIB third
right "vdc added" "vda=bitmap vdb=bitmap vdc=initial"
guest_write m1 vdc $((3 * MIB)) $MIB third
right "vdc the next time" "vda=bitmap vdb=bitmap vdc=bitmap"
virsh -q detach-disk m1 vdc --live --config >"$KIT_TMP/out"
ok "vdc is gone from the guest" wait_for 10 guest_run m1 '[ ! -b /dev/vdc ]'
right "vdc removed" "vda=bitmap vdb=bitmap"
ok "vdc is in the recovery point before" export_disk m1 6 vdc
fails "and in none after it" export_disk m1 0 vdc

virsh -q blockresize m1 "$KIT_TMP/vdb.qcow2" 40M >"$KIT_TMP/out"
ok "the guest sees that vdb has grown" wait_for 10 \
    guest_run m1 "[ \$(blockdev --getsize64 /dev/vdb) = $((40 * MIB)) ]"
guest_write m1 vdb $((38 * MIB)) $MIB fourth
right "vdb grown" "vda=bitmap vdb=hash-scan(size-changed)"
is "vdb grown: its size" "$(stat -c %s "$KIT_TMP/copy.vdb")" $((40 * MIB))
is "vdb grown: only what changed is sent" "$(disk_of vdb changed_blocks)" 16
right "vdb the next time" "vda=bitmap vdb=bitmap"

# --- how a delta is found -----------------------------------------------------------------------

guest_write m1 vda $((20 * MIB)) $MIB fifth
right "a full scan" "vda=hash-scan(requested) vdb=hash-scan(requested)" --full-scan
is "a full scan: only what changed is sent" "$(disk_of vda changed_blocks)" 16
right "bitmaps go on after it" "vda=bitmap vdb=bitmap"
right "without a checkpoint" "vda=bitmap vdb=bitmap" --no-checkpoint
is "without a checkpoint: none is left" "$(checkpoints m1)" ""
right "A5: after a cycle without a checkpoint" "vda=hash-scan(no-checkpoint) vdb=hash-scan(no-checkpoint)"
right "and after that" "vda=bitmap vdb=bitmap"

guest_write m1 vda $((24 * MIB)) $MIB sixth
ok "the guest is shut down" guest_shutdown m1
guest_start m1
ok "the guest boots again" guest_wait_ready m1
guest_write m1 vda $((28 * MIB)) $MIB sixth
right "shut down and started between cycles" "vda=bitmap vdb=bitmap"
ok "it has what was written before and after" [ "$(disk_of vda changed_blocks)" -eq 32 ]

# --- what people see ----------------------------------------------------------------------------

here=(--host qemu:///system --machine m1 --store "$live_store")
run landfall cycle "${here[@]}" --full-scan
is "in words: status" "$status" 0
like "in words: the snapshot" "$output" 'snapshot taken: crash-consistent'
like "in words: the plan" "$output" 'vda: hash-scan, .* to look at \(a full scan was asked for'
like "in words: the end" "$output" 'recovery point [0-9]+ .*committed in .*, snapshot held '
unlike "in words: no bar where there is no terminal" "$output" $'\r|\\[#'
# Slow enough for a line now and then, which come every five seconds.
landfall cycle "${here[@]}" --exclude-disk vdb --full-scan --bandwidth 1 >"$KIT_TMP/out" 2>"$KIT_TMP/err"
like "in a log: plain lines" "$(<"$KIT_TMP/err")" '^vd[ab]: [0-9]+ %, [0-9.]+ [KM]iB/s'
unlike "in a log: no bar" "$(<"$KIT_TMP/err")" $'\r|\x1b'
script -qec "landfall cycle --host qemu:///system --machine m1 --store $live_store --full-scan \
    --bandwidth 24" /dev/null >"$KIT_TMP/typescript" </dev/null
like "on a terminal: a bar" "$(<"$KIT_TMP/typescript")" $'\rvda +\\[#+-*\\] +[0-9]+ %'
like "on a terminal: it gets to its end" "$(<"$KIT_TMP/typescript")" '100 %'

for command in cycle 'store list' 'store verify' 'store export'; do
    # shellcheck disable=SC2086  # two words
    run landfall $command --help
    is "landfall $command --help: status" "$status" 0
    like "landfall $command --help: usage" "$output" "Usage:.*landfall $command \[OPTION"
    like "landfall $command --help: its options" "$output" '--json'
done

# --- the store ----------------------------------------------------------------------------------

list=$(landfall store list "$live_store" --json)
is "list: the machine" "$(jq -r '.machines[] | "\(.machine) \(.name)"' <<<"$list")" "$uuid m1"
count=$(find "$live_store/$uuid/recovery-points" -name '*.json' | wc -l)
is "list: the recovery points" \
    "$(landfall store list "$live_store" m1 --json | jq '.recovery_points | length')" "$count"
is "list, for people: one line for each disk" \
    "$(landfall store list "$live_store" m1 | grep -cE ' vd[a-c] ')" \
    "$(landfall store list "$live_store" m1 --json | jq '[.recovery_points[].disks | length] | add')"
is "list, for people: by UUID too" "$(landfall store list "$live_store" "$uuid")" \
    "$(landfall store list "$live_store" m1)"
ok "verify: one" landfall store verify "$live_store" m1 --recovery-point 3
ok "verify: all" landfall store verify "$live_store" m1 --all

ok "export: raw" export_disk m1 0 vda
for format in raw qcow2 vmdk vpc; do
    ok "export: $format" landfall store export "$live_store" m1 --disk vda --format $format \
        "$KIT_TMP/export.$format"
    is "export: $format: it is one" "$(qemu-img info --output=json -f $format \
        "$KIT_TMP/export.$format" | jq -r .format)" $format
    run qemu-img compare -f $format -F raw "$KIT_TMP/export.$format" "$KIT_TMP/copy.vda"
    is "export: $format: the same content" "$status $output" "0 Images are identical."
done
run landfall store export "$live_store" m1 --disk vda "$KIT_TMP/export.raw"
is "export: an existing file: status" "$status" 2
like "export: an existing file: the message" "$output" "export.raw.*hint: .*--force"
ok "export: an existing file with --force" landfall store export "$live_store" m1 --disk vda --force \
    "$KIT_TMP/export.raw"
run landfall store export "$live_store" m1 --disk vdz "$KIT_TMP/no"
is "export: no such disk: status" "$status" 2
like "export: no such disk: the message" "$output" "vdz"
ok "export: nothing is made" [ ! -e "$KIT_TMP/no" ]
run landfall store verify "$live_store" m1 --recovery-point 99
is "verify: no such recovery point: status" "$status" 2
like "verify: no such recovery point: the hint" "$output" "hint: there are recovery points 1 to $count"

# --- sources without libvirt --------------------------------------------------------------------

start_qemu_nbd "$KIT_TMP/nbd.sock" -r -f raw "$KIT_TMP/copy.vda"
plain=(--disk "sda=$KIT_URI" --machine plain --store "$live_store" --json)
for n in 1 2; do
    run landfall cycle "${plain[@]}"
    is "an NBD source, cycle $n: status" "$status" 0
done
is "an NBD source: how it was found" "$(jq -r 'select(.event == "result").recovery_point.disks[0] |
    "\(.mode) \(.demotion_cause) \(.changed_blocks)"' <<<"$output")" "hash-scan nbd-export 0"
ok "an NBD source: export" landfall store export "$live_store" plain --disk sda "$KIT_TMP/sda"
ok "an NBD source: it is the same" cmp "$KIT_TMP/sda" "$KIT_TMP/copy.vda"
run landfall cycle --disk "sda=http://localhost/" --machine plain --store "$live_store"
is "no NBD URI: status" "$status" 2
like "no NBD URI: the message" "$output" 'disk sda: "http://localhost/" is not an NBD URI'
done_testing
