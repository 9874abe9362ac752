#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# live.sh: whole cycles of running guests against virtnbdbackup's incremental backups, on a private
# libvirt. Run by run.sh, whose variables it takes from the environment. Two guests with equal disks
# and equal writes: a tool's checkpoints are in the other's way, and neither touches foreign ones.
export KIT_NO_SKIP=1
bench=$(cd "$(dirname "$0")" && pwd)
. "$bench/../tests/kit/guest.sh"
no_tests
. "$bench/kit.sh"

live_mib=1024
# What the guest writes between two cycles: 16 blocks scattered over the disk, 1 MiB.
live_blocks=16
writes=0

guest_of() {
    case $1 in
    landfall*) echo bench-landfall ;;
    *) echo bench-peer ;;
    esac
}

start_guests() {
    local guest
    gendisk used "$KIT_TMP/live.raw" $live_mib 9
    for guest in bench-landfall bench-peer; do
        qemu-img convert -f raw -O qcow2 "$KIT_TMP/live.raw" "$KIT_TMP/$guest.qcow2"
        guest_define $guest --disk "vda:qcow2:$KIT_TMP/$guest.qcow2"
        guest_start $guest
        guest_wait_ready $guest
    done
    rm "$KIT_TMP/live.raw"
}

# write_some TOOL: the guest of the tool writes. The same number of writes for each tool in turn, so
# that both guests see the same.
write_some() {
    local offsets
    writes=$((writes + 1))
    offsets=$(gendisk scatter $live_mib $live_blocks $((writes / 2)) | tr '\n' ' ')
    guest_run "$(guest_of "$1")" "for offset in $offsets; do
        head -c 65536 /dev/urandom | dd of=/dev/vda bs=64k oflag=seek_bytes seek=\$offset \
            conv=notrunc iflag=fullblock 2>/dev/null; done; sync" >/dev/null
    server_pid=$(guest_qemu_pid "$(guest_of "$1")")
}

cycle_command() {
    command=(landfall cycle --host qemu:///system --machine bench-landfall --store "$work/store" --json)
}
before_landfall_cycle() { write_some landfall; }
command_landfall_cycle() { cycle_command; }
events_landfall_cycle() { :; }

# backup_command LEVEL
backup_command() {
    command=(virtnbdbackup --domain bench-peer --level "$1" --output "$work/peer-backup" --noprogress
        --scratchdir "$KIT_TMP")
}
before_virtnbdbackup() { write_some peer; }
command_virtnbdbackup() { backup_command inc; }

first_run() {
    "${command[@]}" >"$work/log" 2>&1 || die "${command[0]}: $(tail -n 5 "$work/log")"
}

rm -rf "$work/store" "$work/peer-backup"
mkdir -p "$work/store"
start_guests
cycle_command
first_run
backup_command full
first_run
begin_group live 'running guest' "$(awk "BEGIN {print $live_blocks / 16384}")"
interleave_short landfall_cycle virtnbdbackup
server_pid=
grep -q '"mode":"bitmap"' "$work/events" || die 'the cycle did not go by the bitmap'
guest_destroy bench-landfall
guest_destroy bench-peer
# The guest wrote nothing since: its image and the last recovery point are the same.
check_replica qcow2 "$KIT_TMP/bench-landfall.qcow2"
rm -rf "$work/store" "$work/peer-backup"
[ "$failures" = 0 ]
