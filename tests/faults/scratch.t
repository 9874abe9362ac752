#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Scratch space that runs out while a guest writes and its disk is read slowly: the cycle gives the
# snapshot up in time and says why, the guest sees nothing of it, and when there is room again the
# next cycle is a delta that misses nothing.
. "$(dirname "$0")/../appliance/live.sh"

small=$KIT_TMP/small
mkdir "$small"
mount -t tmpfs -o size=64m,mode=777 tmpfs "$small"
cleanup_fn umount "$small"

pattern first $((128 * 1024 * 1024)) >"$KIT_TMP/first.raw"
qemu-img convert -f raw -O qcow2 "$KIT_TMP/first.raw" "$KIT_TMP/vda.qcow2"
rm "$KIT_TMP/first.raw"
guest_define m1 --disk "vda:qcow2:$KIT_TMP/vda.qcow2"
guest_start m1
ok "the guest boots" guest_wait_ready m1

# overwrite WORD: 128 MiB, as fast as the guest can.
overwrite() {
    guest_run m1 "yes '$1' | head -c 8388608 >/tmp/piece && for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        dd if=/tmp/piece of=/dev/vda bs=1M seek=\$((8 * n)) conv=notrunc 2>/dev/null || exit 1
    done && sync && echo 1 >/proc/sys/vm/drop_caches && dd if=/dev/vda bs=1M count=1 2>/dev/null | head -c 5"
}

cycle m1 --scratch-dir "$small"
cycle_ok "the first cycle"
like "little room is a warning" "$messages" \
    "warning snapshot:  scratch folder $small has .* free of 64.0..?MiB, less than the reserve of 128.0..?MiB"

same_as_guest() {
    guest_run m1 'sync'
    cycle m1 --on-snapshot "$live_hook" "${options[@]}"
    cycle_ok "$1: the cycle"
    is "$1: its mode" "$(modes)" "$2"
    ok "$1: export" export_disk m1 0 vda
    same_as_independent "$1" vda
    is "$1: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
}

# runs_low NAME WORD: a slow cycle beside a guest that overwrites all of it.
runs_low() {
    local before
    before=$(checkpoints m1)
    begin_cycle m1 --full-scan --bandwidth 4 "${options[@]}"
    ok "$1: the cycle reads" cycle_reaches progress
    begun=$(kit_now)
    run overwrite "$2"
    diag "128 MiB written in $((($(kit_now) - begun) / 1000)) ms"
    is "S8: $1: not one of the guest's writes fails" "$status $output" "0 $2"
    unlike "$1: nor did it notice" "$(guest_run m1 dmesg)" "I/O error"
    is "$1: the guest runs" "$(guest_state m1)" running
    end_cycle
    is "$1: the cycle fails" "$status" 1
    like "$1: it says why" "$messages" \
        "error source:  machine m1: scratch folder $small has [0-9.]+.*B free of 64.0..?MiB: the snapshot was given up before the guest's own writes could fail"
    like "$1: with what was seen of it" "$messages" "what was seen of it: .*vda"
    like "$1: and advice" "$messages" "free space there, or set a scratch folder with more of it"
    diag "$(grep -o 'has [0-9.]*.*iB free' <<<"$messages" || true)"
    is "$1: it did not hold on until the end" "$(live_files)" ""
    is "$1: the checkpoint is the one before" "$(checkpoints m1)" "$before"
    is "$1: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
}

options=(--scratch-dir "$small")
runs_low "fast" fasty

# A guest that pauses before it writes on: the pace seen so far says nothing.
head -c 40M /dev/zero >"$small/of-somebody-else"
runs_low "half full" halfy

head -c 50M /dev/zero >"$small/of-somebody-else" || true
head -c 8M /dev/zero >"$small/more" || true
cycle m1 "${options[@]}"
is "no room at all: the cycle fails" "$status" 1
like "no room at all: before it begins" "$messages" \
    "error source:  machine m1: scratch folder $small has .* free of 64.0..?MiB: too little for a snapshot"
is "no room at all: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"

rm "$small"/*
same_as_guest "there is room again" vda=bitmap
ok "all is proven" landfall store verify "$live_store" m1 --all

# --- a job that somebody else ends --------------------------------------------------------------

options=()
points() {
    landfall store list "$live_store" m1 --json | jq -c '[.recovery_points[].number]'
}
before=$(points)
begin_cycle m1 --full-scan --bandwidth 8
ok "ended by somebody else: the cycle reads" cycle_reaches progress
virsh -q domjobabort m1
end_cycle
is "ended by somebody else: the cycle fails" "$status" 1
like "ended by somebody else: it says so" "$messages" \
    "error source:  machine m1: somebody has ended the backup job while its disks were read; what was seen of it: .*vda.* see who ends backup jobs"
is "ended by somebody else: no recovery point" "$(points)" "$before"

# All has been read when the job ends, but not confirmed yet.
cat >"$KIT_TMP/ends" <<'END'
#!/bin/bash
virsh -q domjobabort m1
until virsh -q backup-dumpxml m1 2>&1 | grep -q 'not found\|no domain backup'; do sleep 0.1; done
END
chmod +x "$KIT_TMP/ends"
cycle m1 --on-snapshot "$KIT_TMP/ends"
is "S9: ended before it is read: the cycle fails" "$status" 1
like "ended before it is read: it says so" "$messages" "somebody has ended the backup job"
is "ended before it is read: no recovery point" "$(points)" "$before"
same_as_guest "after that" vda=bitmap
done_testing
