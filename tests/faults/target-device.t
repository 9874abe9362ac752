#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stores on a block device that fails: power cuts in the middle of cycles and retentions, with and
# without what was written and never flushed; writes that fail; a file system that gives up; a slow
# disk. After each, every recovery point that was there is whole, one that was said to be committed
# is there, and the next cycle goes on.
# LANDFALL_SEED repeats a run; LANDFALL_LONG=1 cuts the power many more times.

. "$(dirname "$0")/../replicator/cycles.sh"
requires mkfs.ext4 mount unshare qemu-nbd nbdfuse
[ "$(id -u)" -eq 0 ] && [ -c /dev/fuse ] || skip_all "mounting needs root and FUSE"
if [ -z "${LANDFALL_OWN_MOUNTS:-}" ]; then
    # Mounts end with the namespace, whatever happens to the test.
    LANDFALL_OWN_MOUNTS=1 unshare --mount --propagation private "$0" && own=0 || own=$?
    no_tests
    exit $own
fi

seed=${LANDFALL_SEED:-$((RANDOM * 32768 + RANDOM))}
diag "LANDFALL_SEED=$seed"
RANDOM=$((seed % 32768))
MIB=$((1 << 20))
VOLUME=$KIT_TMP/volume
CUT=$KIT_TMP/cut
STORE=$VOLUME/store
image=$KIT_TMP/device.img
mkdir "$VOLUME" "$CUT"

# --- the device: a file, served by nbdkit with filters, as a file by nbdfuse, mounted -----------

# device_start FILTER-ARGUMENT…: mounts it; $disk_pid is what stands for the disk.
device_start() {
    local filters=() parameters=() argument
    for argument; do
        case $argument in --*) filters+=("$argument") ;; *) parameters+=("$argument") ;; esac
    done
    rm -f "$KIT_TMP/device.sock"
    device=$(mktemp "$KIT_TMP/device.XXXXXX")
    start_nbdkit "$KIT_TMP/device.sock" "${filters[@]}" file "$image" "${parameters[@]}"
    disk_pid=$KIT_PID
    start_background nbdfuse "$device" --unix "$KIT_TMP/device.sock"
    fuse_pid=$KIT_PID
    wait_for 10 device_is_there
    mount -o loop "$device" "$VOLUME"
}

device_is_there() {
    [ -s "$device" ]
}

device_stop() {
    wait_for 10 umount "$VOLUME"
    wait_for 10 eval '[ -z "$(losetup -j "$device")" ]'
    stop_process "$fuse_pid" && stop_process "$disk_pid"
}
cleanup_fn eval 'mountpoint -q "$CUT" && umount "$CUT"; mountpoint -q "$VOLUME" && umount -l "$VOLUME" || true'

losetup -f >"$KIT_TMP/losetup" 2>&1 || skip_all "no loop devices here"
truncate -s 64M "$image"
mkfs.ext4 -q -m 0 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$image"

# --- the source ---------------------------------------------------------------------------------

disk=$KIT_TMP/vda.raw
truncate -s $((4 * MIB)) "$disk"
random_bytes "$disk" 0 $((3 * MIB))
start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$disk"
vda=(--disk "vda=$KIT_URI" --retain 2)

change_source() {
    local i
    for i in 1 2 3 4; do
        random_bytes "$disk" $((RANDOM % 60 * 65536)) 65536
    done
    zero_bytes "$disk" $((RANDOM % 60 * 65536)) 65536
}

latest() {
    local points
    points=$(recovery_points)
    echo "${points##* }"
}

# points_are_copies: every recovery point there is, of however many.
points_are_copies() {
    local number
    landfall store verify "$STORE" "$MACHINE" --all || return 1
    for number in $(recovery_points); do
        point_is "$number" vda "$COPIES/$number/vda" || { echo "recovery point $number" && return 1; }
    done
}

# next_cycle NAME: after a fault, one that succeeds and leaves two recovery points and no file more.
next_cycle() {
    local number
    number=$(($(latest) + 1))
    keep_copy $number vda "$disk"
    commits "$1: the next cycle" "${vda[@]}"
    is "$1: it made the next recovery point" "$(latest)" $number
    ok "$1: every recovery point is its copy" points_are_copies
    is "$1: nothing is left over" "$(leftovers)" ""
}

# --- power cuts ---------------------------------------------------------------------------------

# The image as it is at an instant, mounted elsewhere: a disk after the power came back. What the
# kernel had not written is gone; with the cache filter all that was never flushed is gone, too.
# Writes "committed" first: what was said before the cut has to be there after it.
power_cut() {
    kill -STOP "$disk_pid"
    said=$(grep -c '"event":"committed"' "$EVENTS" || true)
    cp --sparse=always "$image" "$KIT_TMP/cut.img"
    kill -CONT "$disk_pid"
}

# after_cut BEFORE NUMBER: looks at the cut image; says what is wrong.
after_cut() {
    local STORE=$CUT/store newest
    [ -e "$STORE/$MACHINE/recovery-points" ] || { [ -z "$1" ] && [ "$said" -eq 0 ] && return 0; }
    newest=$(latest)
    [ "$newest" = "$1" ] || [ "$newest" = "$2" ] || { echo "newest is '$newest'" && return 1; }
    [ "$said" -eq 0 ] || [ "$newest" = "$2" ] || { echo "$2 was committed, newest is $newest" && return 1; }
    if [ "$newest" = "$2" ]; then after=$((after + 1)); fi
    points_are_copies || return 1
    landfall-replicate --store "$STORE" --machine "$MACHINE" "${vda[@]}" >"$KIT_TMP/after" 2>&1 ||
        { echo "the next cycle: $(tail -n 1 "$KIT_TMP/after")" && return 1; }
    newest=$(latest)
    mkdir -p "$COPIES/$newest"
    [ -e "$COPIES/$newest/vda" ] || { cp "$disk" "$COPIES/$newest/vda" && made=$newest; }
    points_are_copies && [ -z "$(leftovers)" ]
}

for cache in no yes; do
    filters=(--filter=delay delay-write=2ms)
    [ $cache = no ] || filters+=(--filter=cache cache=writeback)
    device_start "${filters[@]}"
    cuts=$([ -n "${LANDFALL_LONG:-}" ] && echo 100 || echo 5)
    wrong=0 after=0
    # How long a cycle takes, so that cuts fall in all of it.
    next_cycle "before the power cuts (cache: $cache)"
    change_source
    next_cycle "before the power cuts (cache: $cache), again"
    cycle_us=$(($(event result .recovery_point.duration_ms) * 1000 + 30000))
    change_source
    for ((i = 1; i <= cuts; i++)); do
        before=$(latest)
        number=$((${before:-0} + 1))
        keep_copy $number vda "$disk"
        : >"$EVENTS"
        delay_us=$(((RANDOM * 32768 + RANDOM) % (cycle_us * 2)))
        landfall-replicate --store "$STORE" --machine "$MACHINE" "${vda[@]}" >"$EVENTS" 2>&1 &
        child=$!
        sleep "$((delay_us / 1000000)).$(printf %06d $((delay_us % 1000000)))"
        power_cut
        wait $child || die "a cycle failed: $(tail -n 1 "$EVENTS")"
        made=
        mount -o loop "$KIT_TMP/cut.img" "$CUT"
        after_cut "$before" $number >"$KIT_TMP/problem" 2>&1 || {
            wrong=$((wrong + 1))
            diag "cut $i after $delay_us us (cache: $cache): $(cat "$KIT_TMP/problem")"
        }
        umount "$CUT"
        [ -z "$made" ] || rm -r "${COPIES:?}/$made"
        change_source
    done
    diag "cache $cache: $cuts power cuts, $after of them after the commit"
    is "power cuts (cache: $cache): promises broken" $wrong 0
    next_cycle "after the power cuts (cache: $cache)"
    device_stop
done

# --- writes that fail ---------------------------------------------------------------------------

# fails_in_the_middle NAME DELAY-S: the disk fails from an instant in a cycle on. What the kernel had
# promised is lost, so the disk is then mounted again: its journal is replayed.
trigger=$KIT_TMP/trigger
failing=(--filter=error error=EIO error-pwrite-rate=100% error-zero-rate=100% error-trim-rate=100%
    error-file="$trigger")
ended=0
delays=(0 0.02 0.08)
[ -z "${LANDFALL_LONG:-}" ] || delays=(0 0.01 0.02 0.03 0.04 0.06 0.08 0.1 0.12 0.15)
for delay in "${delays[@]}"; do
    device_start "${failing[@]}"
    change_source
    points=$(recovery_points)
    begun=$(latest)
    keep_copy $((begun + 1)) vda "$disk"
    : >"$EVENTS"
    landfall-replicate --store "$STORE" --machine "$MACHINE" "${vda[@]}" >"$EVENTS" \
        2>"$EVENTS.stderr" &
    child=$!
    sleep $delay
    touch "$trigger"
    status=0
    wait $child || status=$?
    if [ $status -ne 0 ]; then
        ended=$((ended + 1))
        case "$status $(event error .code)" in
        "1 replica" | "1 corrupt") like "writes fail after $delay s: hint" "$(event error .hint)" "[a-z]{3}" ;;
        *) fail "writes fail after $delay s: $(tail -n 1 "$EVENTS")" ;;
        esac
        diag "after $delay s: $(event error .message)"
    fi
    committed=$(event committed .event)
    rm "$trigger"
    device_stop
    device_start
    [ -z "$committed" ] || is "writes fail after $delay s: what was committed is there" "$(latest)" $((begun + 1))
    ok "writes fail after $delay s: every recovery point is its copy" points_are_copies
    next_cycle "writes failed after $delay s"
    device_stop
done
ok "writes that fail end cycles" [ $ended -ge 1 ]

# --- a file system that gives up ----------------------------------------------------------------

device_start
change_source
: >"$EVENTS"
landfall-replicate --store "$STORE" --machine "$MACHINE" "${vda[@]}" --bandwidth 2 >"$EVENTS" \
    2>"$EVENTS.stderr" &
child=$!
sleep 0.4
mount -o remount,abort "$VOLUME" 2>"$KIT_TMP/mount" || true
status=0
wait $child || status=$?
refused "the file system gives up" 1 replica "$STORE/.*: (Read-only file system|Input/output error)"
device_stop
device_start
ok "the file system gave up: every recovery point is its copy" points_are_copies
next_cycle "the file system gave up"

# --- slow ---------------------------------------------------------------------------------------

device_start --filter=delay delay-write=20ms delay-read=5ms
change_source
next_cycle "a slow disk"
device_stop
done_testing
