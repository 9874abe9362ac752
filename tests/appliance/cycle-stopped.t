#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine that is off is started paused, read and stopped again: its guest never runs, its disk
# keeps its content, its bitmaps go on counting, and a killed cycle does not leave it started.
. "$(dirname "$0")/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.raw" raw 24M
guest_define m1 --mode writer --rate 30 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw"

# A checksum of what the guest sees on vda and vdb. Nobody else has the images open.
content() {
    qemu-img convert -O raw "$KIT_TMP/vda.qcow2" "$KIT_TMP/content.raw"
    sha256sum <"$KIT_TMP/content.raw"
    sha256sum <"$KIT_TMP/vdb.raw"
}

definition() {
    virsh dumpxml --inactive m1 | grep -v '<metadata/>'
}

# --- the first cycle of a machine that is off ---------------------------------------------------

guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 20
ok "the guest is shut down" guest_shutdown m1
acked=$(guest_acked m1)
before=$(content)
xml=$(definition)
console=$(stat -c %s "$KIT_TMP/m1.console")

cycle m1
cycle_ok "off: the first cycle"
is "off: consistency" "$(jq -r .consistency <<<"$result")" shutdown
is "off: the machine is off again" "$(guest_state m1)" "shut off"
is "off: its content is what it was" "$(content)" "$before"
is "off: its definition too" "$(definition)" "$xml"
is "off: the guest did not run" "$(stat -c %s "$KIT_TMP/m1.console")" "$console"
is "off: no files are left" "$(live_files)" ""
equals_disks "off"
ok "off: with all that was acknowledged" \
    record-check --at-least "$acked" --at-most "$acked" "$KIT_TMP/copy.vda" "$KIT_TMP/copy.vdb"

cycle m1
cycle_ok "off: a second cycle"
is "R17: off: its content is as good as that of the first" "$(jq -r .consistency <<<"$result")" shutdown
is "off: it is a delta" "$(modes)" "vda=bitmap vdb=hash-scan(format-without-bitmaps)"
is "off: nothing changed" "$(disk_of vda changed_blocks) $(disk_of vda sent_bytes)" "0 0"
is "off: the machine is off still" "$(guest_state m1)" "shut off"

# --- it runs, and stops -------------------------------------------------------------------------

running_delta "running"
guest_wait_more_acked m1 30 10
ok "the guest is shut down again" guest_shutdown m1
before=$(content)
off=$(left_on_host m1)
like "the host is clean" "$off" $'^state: shut off\ncheckpoints: 1\nmarkers: 0\nfiles:$'

# --- kills, a cancel, a failure -----------------------------------------------------------------

# stopped_again NAME: the next cycle, after something went wrong in one.
stopped_again() {
    cycle m1
    cycle_ok "$1: the next cycle"
    is "$1: it is a delta" "$(modes)" "vda=bitmap vdb=hash-scan(format-without-bitmaps)"
    is "$1: the machine is as it was" "$(left_on_host m1)" "$off"
    is "$1: its definition too" "$(definition)" "$xml"
    is "$1: its content too" "$(content)" "$before"
    equals_disks "$1"
}

for event in snapshot progress; do
    begin_cycle m1 --bandwidth 16 --full-scan
    ok "killed at $event: the cycle gets there" cycle_reaches $event
    kill -s KILL "$cycle_pid"
    end_cycle
    like "killed at $event: the machine is left paused" "$(guest_state m1)" paused
    like "killed at $event: with a marker" "$(virsh dumpxml --inactive m1)" landfall:started-paused:
    stopped_again "killed at $event"
    like "killed at $event: it says what it cleaned" "$messages" \
        'warning cleaned:  stopped the machine, which was started paused'
done

checkpoint=$(checkpoints m1)
begin_cycle m1 --bandwidth 16 --full-scan
ok "cancelled: the cycle reads" cycle_reaches progress
kill -s TERM "$cycle_pid"
end_cycle
is "cancelled: status" "$status" 1
like "cancelled: it says so" "$messages" 'error cancelled:  .*cancelled'
is "cancelled: the machine is off by itself" "$(left_on_host m1)" "$off"
like "cancelled: the checkpoint before is there" "$(checkpoints m1)" "$checkpoint"
stopped_again "cancelled"

checkpoint=$(checkpoints m1)
cycle m1 --on-snapshot false
is "failed: status" "$status" 1
is "failed: the machine is off by itself" "$(left_on_host m1)" "$off"
like "failed: the checkpoint before is there" "$(checkpoints m1)" "$checkpoint"

# A machine that cannot be started cannot be read: a clear error, and no marker stays.
mv "$KIT_TMP/vdb.raw" "$KIT_TMP/vdb.away"
cycle m1
is "cannot start: status" "$status" 1
like "cannot start: it says why" "$messages" 'error source:  machine m1 cannot be started paused: .*vdb.raw'
mv "$KIT_TMP/vdb.away" "$KIT_TMP/vdb.raw"
stopped_again "can start again"
ok "every recovery point is proven" landfall store verify "$live_store" m1 --all
done_testing
