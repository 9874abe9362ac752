#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be done is refused with a message that names the thing, advice, and the right exit
# code, and neither guest nor host has changed after it: mistakes of operators, other tools in the
# way, a cycle beside another, one that is told to stop in the middle.
. "$(dirname "$0")/live.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_define m1 --mode writer --rate 20 --disk "vda:qcow2:$KIT_TMP/vda.qcow2"
guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 10
cycle m1
cycle_ok "the first cycle"

host_state() {
    left_on_host m1
    checkpoints m1
    virsh dumpxml m1
    virsh dumpxml --inactive m1
    virsh domblklist m1 --details
    virsh backup-dumpxml m1 2>&1 || true
    find "$live_store" -name '*.json' | sort
}
is "the host is clean" "$(left_on_host m1)" "$nothing_left"
before=$(host_state)

# refused NAME STATUS REGEX LANDFALL-ARGUMENTS…: fails like that, as one event of JSON among others,
# and for people on standard error; changes nothing.
refused() {
    local name=$1 expected=$2 regex=$3 output error
    shift 3
    status=0
    output=$(landfall "$@" --json 2>"$KIT_TMP/stderr") || status=$?
    is "$name: status" "$status" "$expected"
    ok "A8: $name: standard output is JSON" jq -e . <<<"$output"
    error=$(jq -r 'select(.event == "error") | "\(.code): \(.message) HINT \(.hint // "")"' <<<"$output")
    like "$name: the message" "$error" "$regex"
    is "$name: standard error is empty" "$(<"$KIT_TMP/stderr")" ""
    is "$name: nothing has changed" "$(host_state)" "$before"
    run landfall "$@"
    is "$name: for people: status" "$status" "$expected"
    like "A10: $name: for people: a hint" "$output" $'\nhint: .'
}

here=(cycle --host qemu:///system)
this=(--machine m1 --store "$live_store")

# --- the command line ---------------------------------------------------------------------------

refused "no machine" 2 '^config: give --machine, --store' "${here[@]}" --store "$live_store"
refused "neither host nor disks" 2 '^config: give --machine, --store' cycle "${this[@]}"
refused "an unknown option" 2 '^config: Unknown option --bogus HINT .*--help' "${here[@]}" "${this[@]}" --bogus
refused "no number" 2 '^config: Cannot parse integer value .*many' "${here[@]}" "${this[@]}" --retain many
refused "a negative number" 2 '^config: --retain, --bandwidth and --audit-blocks take numbers from 0' "${here[@]}" "${this[@]}" --retain -1
refused "one argument too many" 2 "^config: unknown argument 'more'" "${here[@]}" "${this[@]}" more

# --- the host -----------------------------------------------------------------------------------

refused "no URI" 2 '^config: "no uri" is not a URI' cycle --host "no uri" "${this[@]}"
refused "no such path" 2 '^config: host qemu:///sytsem: the path of a qemu URI is' \
    cycle --host qemu:///sytsem "${this[@]}"
refused "no libvirtd there" 1 '^source: cannot connect to host .*absent' \
    cycle --host "qemu+unix:///system?socket=$KIT_TMP/absent" "${this[@]}"
refused "no such host" 1 '^source: cannot connect to host .*nowhere.invalid' \
    cycle --host qemu+ssh://nowhere.invalid/system "${this[@]}"
refused "an unsupported transport" 1 '^unsupported: host 127.0.0.1: .*transport' \
    cycle --host qemu+tcp://127.0.0.1/system "${this[@]}"
refused "another hypervisor" 1 '^unsupported: host test:///default: its hypervisor' \
    cycle --host test:///default "${this[@]}"

# --- the machine and its disks ------------------------------------------------------------------

refused "no such machine" 2 '^config: host qemu:///system has no machine "m2" HINT the host has: m1$' \
    "${here[@]}" --machine m2 --store "$live_store"
refused "a path for a machine" 2 '^config: host qemu:///system has no machine "../m1"' \
    "${here[@]}" --machine ../m1 --store "$live_store"
refused "a path, without a host" 2 "^config: '../m1' cannot be the name of a machine's folder" \
    cycle --disk vda=nbd://localhost --machine ../m1 --store "$live_store"
ok "nothing is beside the store" [ ! -e "$KIT_TMP/m1" ]
refused "no such disk" 2 "^config: --exclude-disk: .*'vdz' HINT the machine's disks are: vda$" \
    "${here[@]}" "${this[@]}" --exclude-disk vdz
refused "no disk is left" 2 '^config: the machine has no disk to replicate HINT .' \
    "${here[@]}" "${this[@]}" --exclude-disk vda

# --- the store ----------------------------------------------------------------------------------

touch "$KIT_TMP/file"
mkdir "$KIT_TMP/full" "$KIT_TMP/read-only" "$KIT_TMP/small"
touch "$KIT_TMP/full/thing"
mount -t tmpfs -o ro,mode=755 tmpfs "$KIT_TMP/read-only"
mount -t tmpfs -o size=2m,mode=755 tmpfs "$KIT_TMP/small"
cleanup_fn umount "$KIT_TMP/read-only" "$KIT_TMP/small"
refused "the store is a file" 2 "^config: $KIT_TMP/file is not a folder HINT ." \
    "${here[@]}" --machine m1 --store "$KIT_TMP/file"
refused "the store's parent is missing" 1 "$KIT_TMP/absent/store: No such file" \
    "${here[@]}" --machine m1 --store "$KIT_TMP/absent/store"
refused "the store has other things" 2 "^config: $KIT_TMP/full is not a Landfall store and not empty" \
    "${here[@]}" --machine m1 --store "$KIT_TMP/full"
refused "the store is read-only" 1 "^replica: .*$KIT_TMP/read-only/.*Read-only file system" \
    "${here[@]}" --machine m1 --store "$KIT_TMP/read-only/store"

# --- other tools --------------------------------------------------------------------------------

# Another store's checkpoint is as foreign as another tool's: two of them would cost the guest two
# bitmaps, and libvirt deletes them in order.
conflict="^conflict: machine m1 has checkpoints of another .*$(checkpoints m1)"
refused "a second store" 1 "$conflict HINT .*--no-checkpoint" "${here[@]}" --machine m1 \
    --store "$KIT_TMP/second"
for n in 1 2; do
    run landfall "${here[@]}" --machine m1 --store "$KIT_TMP/second" --no-checkpoint
    is "a second store without a checkpoint, $n: status" "$status" 0
    is "a second store without a checkpoint, $n: nothing has changed" "$(host_state)" "$before"
done
ok "a second store: it is proven" landfall store verify "$KIT_TMP/second" m1 --all
run landfall "${here[@]}" --machine m1 --store "$KIT_TMP/small/store" --no-checkpoint
is "no space in the store: status" "$status" 1
like "A6: no space in the store: the message" "$output" "$KIT_TMP/small/store.*No space left on device"$'\nhint: .'
is "no space in the store: nothing has changed" "$(host_state)" "$before"

# QEMU's own user makes the socket.
mkdir -m 777 "$KIT_TMP/foreign"
cat >"$KIT_TMP/backup.xml" <<END
<domainbackup mode='pull'>
  <server transport='unix' socket='$KIT_TMP/foreign/sock'/>
  <disks><disk name='vda' type='file'><scratch file='$KIT_TMP/foreign/scratch'/></disk></disks>
</domainbackup>
END
virsh -q backup-begin m1 "$KIT_TMP/backup.xml" >"$KIT_TMP/out"
with_nothing=$before
before=$(host_state)
refused "another tool's backup" 1 \
    '^conflict: machine m1: a backup job of another tool is running .*foreign.* HINT .*domjobabort' \
    "${here[@]}" "${this[@]}"
ok "another tool's backup: it can be read still" \
    nbdinfo --size "nbd+unix:///vda?socket=$KIT_TMP/foreign/sock"
virsh -q domjobabort m1
wait_for 10 eval '! virsh -q backup-dumpxml m1'
before=$with_nothing
is "another tool's backup has ended" "$(host_state)" "$before"
cycle m1
cycle_ok "after it: a cycle"
is "after it: it is a delta" "$(modes)" vda=bitmap

virsh -q checkpoint-create-as m1 foreign --diskspec vda >"$KIT_TMP/out"
before=$(host_state)
refused "a foreign checkpoint" 1 \
    '^conflict: machine m1 has checkpoints of another .*foreign HINT .*checkpoint-delete.*--no-checkpoint' \
    "${here[@]}" "${this[@]}"
run landfall "${here[@]}" --machine m1 --store "$KIT_TMP/second" --no-checkpoint
is "a foreign checkpoint: without one of ours: status" "$status" 0
is "a foreign checkpoint: nothing has changed" "$(host_state)" "$before"
virsh -q checkpoint-delete m1 foreign >"$KIT_TMP/out"

# --- two cycles, and a cancelled one ------------------------------------------------------------

cycle m1
cycle_ok "a cycle"
before=$(host_state)
checkpoint=$(checkpoints m1)
for signal in TERM INT; do
    begin_cycle m1 --full-scan --bandwidth 4
    ok "SIG$signal: the cycle reads" cycle_reaches progress
    if [ $signal = TERM ]; then
        run landfall "${here[@]}" "${this[@]}"
        is "A2: a cycle beside it: status" "$status" 1
        like "a cycle beside it: names the holder" "$output" "cycle.lock is held by process $cycle_pid"
        like "a cycle beside it: a hint" "$output" $'\nhint: wait for it to end'
        ok "a cycle beside it: the first one goes on" kill -s 0 "$cycle_pid"
    fi
    kill -s $signal "$cycle_pid"
    end_cycle
    is "SIG$signal: status" "$status" 1
    like "SIG$signal: it says so" "$messages" '^error cancelled:  (disk vda: )?cancelled'
    ok "SIG$signal: standard output is JSON" jq -e . "$KIT_TMP/cycle.events"
    ok "SIG$signal: at once ($took_ms ms)" [ $took_ms -lt 5000 ]
    is "SIG$signal: nothing has changed" "$(host_state)" "$before"
    is "A1: SIG$signal: the checkpoint is the one before" "$(checkpoints m1)" "$checkpoint"
done
cycle m1 --on-snapshot "$live_hook"
cycle_ok "the cycle after that"
is "the cycle after that is a delta" "$(modes)" vda=bitmap
ok "export" export_disk m1 0 vda
same_as_independent "the cycle after that" vda
ok "all is proven" landfall store verify "$live_store" m1 --all
is "the guest saw none of it" "$(guest_console m1 | grep -c '^error' || true)" 0
done_testing
