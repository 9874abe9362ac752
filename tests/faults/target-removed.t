#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files and folders that somebody takes out of the store while a cycle writes to it: nothing is
# committed that names what is not there, the cycle says what is missing, and once things are back
# in place the next one goes on. And file systems without direct I/O. LANDFALL_LONG=1: more of them.

. "$(dirname "$0")/../replicator/cycles.sh"
requires qemu-nbd strace

MIB=$((1 << 20))
disk=$KIT_TMP/vda.raw
truncate -s $((4 * MIB)) "$disk"
random_bytes "$disk" 0 $((2 * MIB))
start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$disk"
vda=(--disk "vda=$KIT_URI")
away=$KIT_TMP/away

is_under_way() {
    grep -q '"read_bytes":[1-9]' "$EVENTS"
}

# takes_away PATH MESSAGE: moves it out of the store in the middle of a cycle, then back to where it
# was, unless the path is there again.
takes_away() {
    local name="$kind cycle, $1 is taken away" path=$STORE/$1 points
    [ -n "${LANDFALL_LONG:-}" ] || [[ " $QUICK " == *" $kind:$1 "* ]] || return 0
    points=$(recovery_points)
    begin_cycle "${vda[@]}" --bandwidth 2
    wait_for 20 is_under_way
    kill -STOP $child
    mv "$path" "$away"
    kill -CONT $child
    end_cycle
    refused "$name" 1 replica "$2"
    [ -e "$path" ] || mv "$away" "$path"
    rm -rf "$away"
    is "$name: no recovery point" "$(recovery_points)" "$points"
}

kind=first
disks=m1/disks/vda
# Each takes a second: these without LANDFALL_LONG=1.
QUICK="first:$disks/base.raw first:m1 later:$disks/000003.qcow2 later:$disks/block-map later:m1/recovery-points later:"
takes_away $disks/base.raw "nothing is committed.*base.raw .*is missing"
takes_away $disks/block-map "nothing is committed.*block-map .*is missing"
takes_away $disks "$STORE/$disks.*: No such file"
takes_away m1/recovery-points "recovery-points/000001.json.*: No such file"
takes_away m1 "$STORE/m1.*: No such file"
takes_away "" "$STORE/.*: No such file"
keep_copy 1 vda "$disk"
commits "back in place, first cycle" "${vda[@]}"
random_bytes "$disk" 0 $MIB
keep_copy 2 vda "$disk"
commits "a second" "${vda[@]}"
random_bytes "$disk" $((MIB / 2)) $((2 * MIB))
ok "first cycles: every recovery point is its copy" all_points_are_copies 1 2
is "first cycles: nothing is left over" "$(leftovers)" ""

kind=later
takes_away $disks/000003.qcow2 "nothing is committed.*000003.qcow2 .*is missing"
takes_away $disks/000002.qcow2 "nothing is committed.*000002.qcow2.*No such file"
takes_away $disks/base.raw "nothing is committed.*base.raw is missing"
takes_away $disks/block-map "nothing is committed.*block-map is missing"
takes_away $disks "$STORE/$disks.*: No such file"
takes_away m1/recovery-points "recovery-points.*: No such file"
takes_away m1 "$STORE/m1.*: No such file"
takes_away "" "$STORE/.*: No such file"
keep_copy 3 vda "$disk"
commits "back in place, later cycle" "${vda[@]}"
ok "later cycles: every recovery point is its copy" all_points_are_copies 1 2 3
is "later cycles: nothing is left over" "$(leftovers)" ""

# --- no direct I/O ------------------------------------------------------------------------------

# indirect FILE N: the n-th open of that file, which asks for direct I/O, is refused.
indirect() {
    status=0
    strace -f -qq -o "$KIT_TMP/trace" -P "$STORE/$disks/$1" -e trace=openat \
        -e inject=openat:error=EINVAL:when="$2" landfall-replicate --store "$STORE" \
        --machine "$MACHINE" "${vda[@]}" >"$EVENTS" 2>"$EVENTS.stderr" || status=$?
    is "no direct I/O, $1: status" $status 0
    like "no direct I/O, $1: was asked for" "$(grep INJECTED "$KIT_TMP/trace")" O_DIRECT
}

random_bytes "$disk" $MIB $MIB
keep_copy 4 vda "$disk"
indirect 000004.qcow2 2
ok "no direct I/O: every recovery point is its copy" all_points_are_copies 1 2 3 4
rm -r "$STORE" "${COPIES:?}"/*
keep_copy 1 vda "$disk"
indirect base.raw 1
ok "no direct I/O, first cycle: the copy" all_points_are_copies 1
done_testing
