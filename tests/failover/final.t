#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The last cycle before a move: the machine must be off, what it holds is proven at the source and in
# the replica before the commit, and nobody can start it meanwhile. What comes after a way back is a
# delta again.
. "$(dirname "$0")/../appliance/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.raw" raw 24M
guest_define m1 --mode writer --rate 30 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw"

# proven NAME MODE [CONSISTENCY]: the last cycle succeeded, and its replica is what the machine has.
proven() {
    cycle_ok "$1"
    diag "$(jq -c .timings <<<"$result")"
    is "S11: $1: consistency" "$(jq -r .consistency <<<"$result")" "${3:-shutdown}"
    is "F16: $1: it is proven" "$(jq -r '[.disks[].verified.mode] | unique | join(" ")' <<<"$result")" "$2"
    is "F16: $1: by the root of both sides" \
        "$(jq -c '[.disks[] | .verified.root_hash == .root_hash] | unique' <<<"$result")" "[true]"
    equals_disks "$1"
    is "$1: nothing is left" "$(left_on_host m1)" "$off"
}

off="state: shut off
checkpoints: 1
markers: 0
files:"

started_paused() {
    test "$(jq .timings.paused_start_ms <<<"$result")" -gt 0
}

guest_start m1
ok "the guest boots" guest_wait_ready m1
cycle m1
cycle_ok "a cycle while it runs"
is "it is not proven, and says so" "$(disk_of vda verified)" null
ok "the guest writes" guest_wait_acked m1 30 20
cycle m1 --final
is "F16: running: a last cycle is refused" "$status" 1
like "F16: running: it says why" "$messages" 'error conflict:  machine m1 is running shut it down first'
is "running: nothing is left of it" "$(left_on_host m1)" "$nothing_left"

ok "the guest is shut down" guest_shutdown m1
acked=$(guest_acked m1)
xml=$(virsh dumpxml --inactive m1)
sum=$(sha256sum "$KIT_TMP/vda.qcow2" "$KIT_TMP/vdb.raw")
checkpoint=$(checkpoints m1)

# --- killed, and then held while somebody tries to start it -------------------------------------

begin_cycle m1 --final --on-snapshot 'sleep 5'
ok "killed: the last cycle gets there" cycle_reaches snapshot
kill -s KILL "$cycle_pid"
end_cycle
ok "killed: its server ends with it" wait_for 10 eval '! pgrep qemu-storage >/dev/null'

cat >"$KIT_TMP/try-to-start" <<'END'
#!/bin/bash
virsh -q start m1 2>"$KIT_TMP/start.stderr" && exit 1
nbdcopy "$LANDFALL_NBD_VDA" "$KIT_TMP/independent.VDA"
nbdcopy "$LANDFALL_NBD_VDB" "$KIT_TMP/independent.VDB"
END
chmod +x "$KIT_TMP/try-to-start"
cycle m1 --final --on-snapshot "$KIT_TMP/try-to-start"
proven "the last cycle" transferred
fails "S10: it took no start of the machine" started_paused
like "S10, F11: meanwhile nobody can start it" "$(<"$KIT_TMP/start.stderr")" 'Failed to get (shared )?"?write"? lock'
is "it is a delta" "$(modes)" "vda=bitmap vdb=hash-scan(format-without-bitmaps)"
is "S10: the source was only read" "$(sha256sum "$KIT_TMP/vda.qcow2" "$KIT_TMP/vdb.raw")" "$sum"
is "S10: its definition is what it was" "$(virsh dumpxml --inactive m1)" "$xml"
is "its checkpoint stays" "$(checkpoints m1)" "$checkpoint"
ok "it has all that was acknowledged" record-check --at-least "$acked" --at-most "$acked" \
    "$KIT_TMP/copy.vda" "$KIT_TMP/copy.vdb"
same_as_independent "the last cycle" vda vdb
like "the socket was left by the one that was killed" "$messages" 'warning cleaned:  removed .*\.sock'

cycle m1 --final --verify full
proven "again, all of it" full
is "nothing had changed" "$(disk_of vda changed_blocks) $(disk_of vdb changed_blocks)" "0 0"
is "every block was looked at" "$(disk_of vda verified.blocks) $(disk_of vdb verified.blocks)" "768 384"

# --- the way back -------------------------------------------------------------------------------

running_delta "the way back"
is "the way back: only one checkpoint is left" "$(left_on_host m1)" "$nothing_left"

# --- out of the ordinary: a bitmap that was not stored, an image with another below -------------

guest_power_cut m1
cycle m1 --final
proven "after a power cut" transferred crash
ok "S10: after a power cut: it was started paused" started_paused
is "after a power cut: all is scanned" "$(modes)" "vda=hash-scan(bitmap-broken) vdb=hash-scan(format-without-bitmaps)"

mv "$KIT_TMP/vda.qcow2" "$KIT_TMP/below.qcow2"
qemu-img create -q -f qcow2 -b below.qcow2 -F qcow2 "$KIT_TMP/vda.qcow2"
cycle m1 --final
cycle_ok "an overlay"
ok "S10: an overlay: it was started paused" started_paused
export_disk m1 0 vda
ok "an overlay: vda is what the machine has" qemu-img compare -q "$KIT_TMP/vda.qcow2" "$KIT_TMP/copy.vda"
ok "every recovery point is proven" landfall store verify "$live_store" m1 --all
done_testing
