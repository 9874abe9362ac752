#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A libvirtd that stands still: nobody waits for it without end, the error names the host, and the
# next cycle cleans up. With LANDFALL_LONG=1 also in the middle of a cycle, with and without QEMU.
. "$(dirname "$0")/../appliance/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_define m1 --disk "vda:qcow2:$KIT_TMP/vda.qcow2"

libvirtd_hangs() {
    kill -s STOP "$(<"$KIT_TMP/libvirt/pid")"
}

libvirtd_goes_on() {
    kill -s CONT "$(<"$KIT_TMP/libvirt/pid")"
}

libvirtd_hangs
begin_cycle m1
end_cycle
libvirtd_goes_on
is "before a cycle: it fails" "$status" 1
like "before a cycle: the host is named, with advice" "$messages" \
    '^error source:  host qemu:///system does not answer: no connection in 20 s see whether libvirtd on the host'
ok "before a cycle: soon ($took_ms ms)" [ $took_ms -lt 40000 ]

if [ -z "${LANDFALL_LONG:-}" ]; then
    skip "in the middle of a cycle" "takes minutes: LANDFALL_LONG=1"
    done_testing
    exit
fi

guest_start m1
ok "the guest boots" guest_wait_ready m1
guest_write m1 vda 0 $((40 * 1024 * 1024)) first
cycle m1
cycle_ok "the first cycle"

# QEMU goes on serving the disks, so all is read; letting go of the snapshot is what fails.
begin_cycle m1 --full-scan --bandwidth 16
ok "in a cycle: it reads" cycle_reaches progress
libvirtd_hangs
end_cycle
libvirtd_goes_on
cycle_ok "in a cycle: it succeeds"
like "in a cycle: it says what it left" "$messages" \
    'warning left-behind:  host qemu:///system does not answer'
ok "in a cycle: it does not hang ($took_ms ms)" [ $took_ms -lt 90000 ]
ok "in a cycle: the snapshot was held for a while" \
    [ "$(jq .snapshot_held_ms <<<"$result")" -gt 0 ]
cycle m1 --on-snapshot "$live_hook"
cycle_ok "in a cycle: the next one"
is "in a cycle: the next one is a delta" "$(modes)" vda=bitmap
like "in a cycle: the next one says what it cleaned" "$messages" 'warning cleaned:  ended a backup job'
is "in a cycle: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
ok "in a cycle: export" export_disk m1 0 vda
same_as_independent "in a cycle" vda

begin_cycle m1 --full-scan --bandwidth 16
ok "QEMU dies, too: it reads" cycle_reaches progress
libvirtd_hangs
stop_process "$(guest_qemu_pid m1)" KILL
end_cycle
libvirtd_goes_on
is "QEMU dies, too: the cycle fails" "$status" 1
like "QEMU dies, too: the host is named, and what was seen of it" "$messages" \
    'error source:  host qemu:///system does not answer.*; what was seen of it: disk vda: '
ok "QEMU dies, too: it does not hang ($took_ms ms)" [ $took_ms -lt 90000 ]
done_testing
