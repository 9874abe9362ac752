#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stores that fill up or become read-only: the cycle says so, the recovery points are whole, and
# once there is room the next cycle goes on. On real, small file systems in a mount namespace.

. "$(dirname "$0")/../replicator/cycles.sh"
requires mkfs.ext4 mount unshare qemu-nbd
[ "$(id -u)" -eq 0 ] || skip_all "mounting needs root"
if [ -z "${LANDFALL_OWN_MOUNTS:-}" ]; then
    # Mounts end with the namespace, whatever happens to the test.
    LANDFALL_OWN_MOUNTS=1 unshare --mount --propagation private "$0" && own=0 || own=$?
    no_tests
    exit $own
fi

VOLUME=$KIT_TMP/volume
STORE=$VOLUME/store
mkdir "$VOLUME"
truncate -s 48M "$KIT_TMP/volume.img"
mkfs.ext4 -q -m 0 -b 4096 "$KIT_TMP/volume.img"
mount -o loop "$KIT_TMP/volume.img" "$VOLUME" || skip_all "no loop devices here"
cleanup_fn umount "$VOLUME"

# fill LEAVE: leaves that many bytes free.
fill() {
    dd if=/dev/zero of="$VOLUME/ballast" bs=64k status=none 2>"$KIT_TMP/dd" || true
    sync -f "$VOLUME"
    truncate -s "-$1" "$VOLUME/ballast"
    sync -f "$VOLUME"
}

disk=$KIT_TMP/vda.raw
MIB=$((1 << 20))
truncate -s $((16 * MIB)) "$disk"
random_bytes "$disk" 0 $((8 * MIB))
start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$disk"
vda=(--disk "vda=$KIT_URI")

full() {
    is "$1: status" "$status" 1
    is "$1: code" "$(event error .code)" replica
    like "$1: names the store" "$(event error .message)" "$STORE"
    like "$1: says why" "$(event error .message)" "No space left on device"
    like "$1: says what to do" "$(event error .hint)" "free space"
    is "$1: standard error" "$(cat "$EVENTS.stderr")" ""
}

# --- the first cycle does not fit ---------------------------------------------------------------

fill $((4 * MIB))
cycle "${vda[@]}"
full "first cycle"
is "first cycle: no recovery point" "$(recovery_points)" ""
rm "$VOLUME/ballast"
keep_copy 1 vda "$disk"
commits "first cycle, with room" "${vda[@]}"
ok "first cycle, with room: goes on" [ "$(figure vda sent_bytes)" -lt $((8 * MIB)) ]

# --- later cycles run full at every step --------------------------------------------------------

random_bytes "$disk" $((9 * MIB)) $((2 * MIB))
keep_copy 2 vda "$disk"
commits "second" "${vda[@]}"
random_bytes "$disk" $((12 * MIB)) $((2 * MIB))
zero_bytes "$disk" 0 65536
# From no room at all to all that is needed: somewhere between data, tables, journal and manifest.
# One of them fits: from there on it is the retention and the map that run full.
fitted=0 full=0 other=0
for leave in 0 4096 65536 1048576 2097152 2162688 2228224 2293760 2301952 2310144 2318336 2326528 \
    2334720 2342912 2351104 2359296 2367488 2375680 2424832; do
    fill $leave
    points=$(recovery_points)
    cycle "${vda[@]}"
    case "$status $(event error .code)" in
    "1 replica") full=$((full + 1)) ;;
    "0 ") fitted=$((fitted + 1)) ;;
    *) other=$((other + 1)) && tail -n 1 "$EVENTS" | diag ;;
    esac
    rm "$VOLUME/ballast"
    if [ "$status" -eq 0 ]; then
        keep_copy 3 vda "$disk"
        diag "fitted into $leave bytes"
        [ "$(event warning .code)" = "" ] || diag "$(event warning .message)"
        break
    fi
    [ "$(recovery_points)" = "$points" ] || other=$((other + 1))
    point_is 2 vda "$COPIES/2/vda" || other=$((other + 1))
done
ok "ran full often enough" [ $full -ge 6 ]
is "fitted in the end" $fitted 1
is "nothing but full or done" $other 0
ok "every recovery point is its copy" all_points_are_copies 1 2 3
is "nothing is left over" "$(leftovers)" ""
fill 0
random_bytes "$disk" 0 $MIB
cycle "${vda[@]}"
full "no room at all"
ok "no room at all: recovery points can be read" landfall store verify "$STORE" "$MACHINE" --all
ok "no room at all: and listed" landfall store list "$STORE" "$MACHINE"
cycle "${vda[@]}"
full "no room at all, again"
rm "$VOLUME/ballast"
keep_copy 4 vda "$disk"
commits "with room" "${vda[@]}"
ok "with room: every recovery point is its copy" all_points_are_copies 1 2 3 4

# --- retention runs full ------------------------------------------------------------------------

# Merging writes blocks into holes of the base, before it frees the layer they are in.
random_bytes "$disk" $((14 * MIB)) $((2 * MIB))
fill $((2 * MIB + 458752))
keep_copy 5 vda "$disk"
commits "the cycle fits, its retention does not" "${vda[@]}" --retain 2
is "unfinished: warning" "$(event warning .code)" unfinished
like "unfinished: message" "$(jq -r 'select(.code == "unfinished").message' "$EVENTS")" "No space left"
rm "$VOLUME/ballast"
ok "unfinished: every recovery point is its copy" all_points_are_copies 4 5
keep_copy 6 vda "$disk"
commits "the next finishes it" "${vda[@]}" --retain 2
ok "finished: every recovery point is its copy" all_points_are_copies 5 6
is "finished: nothing is left over" "$(leftovers)" ""

# --- read-only ----------------------------------------------------------------------------------

mount -o remount,ro "$VOLUME"
random_bytes "$disk" 0 $MIB
cycle "${vda[@]}"
refused "read-only" 1 replica "$STORE/.*: Read-only file system"
like "read-only: says what to do" "$(event error .hint)" "remount"
ok "read-only: recovery points can be proven" landfall store verify "$STORE" "$MACHINE" --all
mount -o remount,rw "$VOLUME"
keep_copy 7 vda "$disk"
commits "read-write again" "${vda[@]}"
ok "read-write again: every recovery point is its copy" all_points_are_copies 5 6 7
done_testing
