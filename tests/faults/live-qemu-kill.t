#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# QEMU or libvirtd dies between two cycles, or in the middle of one: disks whose bitmaps died are
# scanned, with the cause, and only what changed is sent; a cycle that lost its source says so, leaves
# nothing, and the next one is right.
. "$(dirname "$0")/../appliance/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.qcow2" qcow2 32M
guest_make_disk "$KIT_TMP/vdc.raw" raw 24M
guest_define m1 --mode writer --rate 60 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:qcow2:$KIT_TMP/vdb.qcow2" --disk "vdc:raw:$KIT_TMP/vdc.raw"
disks=(vda vdb vdc)

power_up() {
    guest_start m1
    ok "$1: the guest boots" guest_wait_ready m1
    ok "$1: the guest writes" guest_wait_more_acked m1 30 5
}

# right NAME MODES: one more cycle, which must be all right, in those modes.
right() {
    local acked disk
    acked=$(guest_acked m1)
    cycle m1 --on-snapshot "$live_hook"
    cycle_ok "$1: the cycle"
    is "$1: its modes" "$(modes)" "$2"
    is "$1: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
    for disk in "${disks[@]}"; do
        ok "$1: export $disk" export_disk m1 0 "$disk"
    done
    same_as_independent "$1" "${disks[@]}"
    ok "$1: one state, with all that was acknowledged" record-check --at-least "$acked" \
        "${disks[@]/#/$KIT_TMP/copy.}"
    ok "$1: it is proven" landfall store verify "$live_store" m1
}

by_bitmap="vda=bitmap vdb=bitmap vdc=hash-scan(format-without-bitmaps)"
by_scan="vda=hash-scan(bitmap-broken) vdb=hash-scan(bitmap-broken) vdc=hash-scan(format-without-bitmaps)"

power_up "first"
guest_wait_acked m1 30 300
cycle m1
cycle_ok "the first cycle"

# --- QEMU ---------------------------------------------------------------------------------------

guest_stop_writing m1 >/dev/null
right "before a power cut" "$by_bitmap"
guest_power_cut m1
power_up "after a power cut"
guest_stop_writing m1 >/dev/null
right "after a power cut" "$by_scan"
for disk in vda vdb; do
    like "after a power cut: $disk says why" "$(disk_of $disk demotion_detail)" \
        "QEMU did not close it cleanly"
    ok "after a power cut: $disk sends what changed alone ($(disk_of $disk sent_bytes) of \
$(disk_of $disk read_bytes) bytes)" \
        [ $(($(disk_of $disk sent_bytes) * 2)) -lt "$(disk_of $disk read_bytes)" ]
done
guest_run m1 'record-writer --rate 20 /dev/vd? >/dev/console 2>&1 &' >/dev/null
guest_wait_more_acked m1 10 5
right "the cycle after that" "$by_bitmap"

points() {
    landfall store list "$live_store" m1 --json | jq -c '[.recovery_points[].number]'
}

# lost NAME ERROR-REGEX: the running cycle ends by itself, soon and clearly.
lost() {
    end_cycle
    is "$1: the cycle fails" "$status" 1
    like "$1: it says what happened" "$messages" "$2"
    ok "$1: at once ($took_ms ms)" [ $took_ms -lt 15000 ]
    is "$1: no recovery point" "$(points)" "$before"
}

before=$(points)
begin_cycle m1 --bandwidth 8 --full-scan
ok "a slow cycle reads" cycle_reaches progress
guest_power_cut m1
lost "QEMU killed in a cycle" \
    'error source:  machine m1 has stopped while its disks were read \(QEMU has died\); what was seen of it: disk vda: .* run the cycle again'
is "QEMU killed in a cycle: no files are left" "$(live_files)" ""
power_up "after a kill in a cycle"
right "after a kill in a cycle" "$by_scan"
right "the cycle after that one" "$by_bitmap"

libvirtd_kill() {
    { stop_process "$(<"$KIT_TMP/libvirt/pid")" KILL; } 2>/dev/null
}

# --- libvirtd -----------------------------------------------------------------------------------

libvirtd_stop
libvirtd_start
right "libvirtd started again between cycles" "$by_bitmap"

begin_cycle m1 --bandwidth 8 --full-scan
ok "another slow cycle reads" cycle_reaches progress
libvirtd_kill
end_cycle
# QEMU goes on serving the disks, so all is read; letting go of the snapshot is what fails.
cycle_ok "libvirtd killed in a cycle: the cycle succeeds"
like "libvirtd killed in a cycle: it says what it left" "$messages" \
    'warning left-behind:  cannot connect to host qemu:///system'
ok "libvirtd killed in a cycle: it does not hang ($took_ms ms)" [ $took_ms -lt 30000 ]
libvirtd_start
like "libvirtd killed in a cycle: something is left" "$(live_files)" '\.sock'
right "libvirtd killed in a cycle" "$by_bitmap"
like "the next one says what it cleaned" "$messages" 'warning cleaned:  ended a backup job'

libvirtd_stop
cycle m1
is "no libvirtd: status" "$status" 1
like "no libvirtd: it says so" "$messages" 'error source:  cannot connect to host qemu:///system'
done_testing
