#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# landfall-replicate killed at a hundred instants between its start and its end, over sources that
# change, grow and shrink, with retention: the store opens at the last commit, every recovery point
# kept is its copy, and nothing is left over. LANDFALL_SEED repeats a run; LANDFALL_LONG=1: 1000.

. "$(dirname "$0")/../replicator/cycles.sh"
requires qemu-nbd

seed=${LANDFALL_SEED:-$((RANDOM * 32768 + RANDOM))}
diag "LANDFALL_SEED=$seed"
RANDOM=$((seed % 32768))
KILLS=$([ -n "${LANDFALL_LONG:-}" ] && echo 1000 || echo 100)
RETAIN=3

vda=$KIT_TMP/vda.raw vdb=$KIT_TMP/vdb.raw
truncate -s 6M "$vda"
truncate -s $((3 * 1048576 + 512)) "$vdb"
random_bytes "$vda" 0 2097152
random_bytes "$vdb" 1048576 1048576

# Not nbdkit: the one of Debian 12 aborts when a client with reads in flight dies.
serve_vdb() {
    start_qemu_nbd "$KIT_TMP/vdb.sock" -r -f raw "$vdb"
    vdb_server=$KIT_PID
    vdb_uri=$KIT_URI
}
start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$vda"
vda_uri=$KIT_URI
serve_vdb
arguments=(--disk "vda=$vda_uri" --disk "vdb=$vdb_uri" --retain "$RETAIN")

# Some blocks change, become zero, are discarded; now and then vdb gets another size.
change_sources() {
    local i at
    for i in 1 2 3; do
        at=$((RANDOM % 90 * 65536))
        case $((RANDOM % 4)) in
        0) zero_bytes "$vda" $at 131072 ;;
        1) discard_bytes "$vda" $at 196608 ;;
        *) random_bytes "$vda" $at $((RANDOM % 200 * 512 + 512)) ;;
        esac
    done
    [ $((RANDOM % 3)) -eq 0 ] || random_bytes "$vdb" $((RANDOM % 16 * 65536)) 512 # the smallest it gets
    if [ $((RANDOM % 5)) -eq 0 ]; then
        truncate -s $((1048576 + RANDOM % 64 * 65536 + RANDOM % 128 * 512)) "$vdb"
        stop_process "$vdb_server"
        serve_vdb
    fi
}

latest() {
    local points
    points=$(recovery_points)
    echo "${points##* }"
}

# check NUMBER ["all"]: what has to hold at any time, after whatever happened, before anything is
# mended: the recovery points from the oldest to NUMBER are there without a gap, and each is its
# copy. All of them are looked at after each cycle that came through; after a kill the latest and
# one other, as starting qemu-img takes most of the time.
check_one() {
    local layer
    if [ -n "$4" ]; then
        point_is "${@:1:3}"
        return
    fi
    layer=$(jq -er ".disks[] | select(.name == \"$2\") | .layer" "$(manifest "$1")") &&
        point_reads_as "$STORE/$MACHINE/disks/$2/$layer" "$3"
}

problem=
check() {
    local points oldest number copy
    points=$(recovery_points)
    oldest=${points%% *}
    [ "$points" = "$(seq -s ' ' "${oldest:-1}" "$1")" ] || {
        problem="recovery points $points, expected up to $1"
        return 1
    }
    [ -n "$points" ] || return 0
    for number in $points; do
        [ -n "${2:-}" ] || [ "$number" -eq "$1" ] ||
            [ "$number" -eq $((oldest + RANDOM % ($1 - oldest + 1))) ] || continue
        for copy in "$COPIES/$number"/*; do
            check_one "$number" "${copy##*/}" "$copy" "${2:-}" >"$KIT_TMP/problem" 2>&1 || {
                problem="recovery point $number, ${copy##*/}: $(cat "$KIT_TMP/problem")"
                return 1
            }
        done
    done
}

# How long an undisturbed cycle takes, so that kills land in all of it.
cycle_us=0
measure() {
    local begun
    begun=$(kit_now)
    cycle "${arguments[@]}"
    [ "$status" -eq 0 ] || die "an undisturbed cycle failed: $(cat "$EVENTS")"
    cycle_us=$(($(kit_now) - begun))
}

killed=0 survived=0 committed_anyway=0 first_cycles=0 committed=0
# One round: sources as they are, a cycle killed at a random instant, the promises.
round() {
    local delay_us before after next
    before=$(latest)
    next=$((${before:-0} + 1))
    rm -rf "${COPIES:?}/$next"
    keep_copy $next vda "$vda"
    keep_copy $next vdb "$vdb"
    [ -n "$before" ] || first_cycles=$((first_cycles + 1))
    delay_us=$(((RANDOM * 32768 + RANDOM) % (cycle_us * 11 / 10 + 1)))
    : >"$EVENTS" # the kill may come before the child has opened it
    landfall-replicate --store "$STORE" --machine "$MACHINE" "${arguments[@]}" >"$EVENTS" 2>&1 &
    child=$!
    sleep "$((delay_us / 1000000)).$(printf %06d $((delay_us % 1000000)))"
    kill -KILL $child 2>/dev/null || true
    status=0
    { wait $child || status=$?; } 2>/dev/null
    case $status in
    137) killed=$((killed + 1)) ;;
    0) survived=$((survived + 1)) ;;
    *) problem="status $status: $(tail -n 1 "$EVENTS")" && return 1 ;;
    esac
    after=$(latest)
    [ "$after" = "$before" ] || [ "$after" = $next ] || {
        problem="recovery point $before, then $after"
        return 1
    }
    # What was said to be committed is.
    if grep -q '"committed"' "$EVENTS" && [ "$after" != $next ]; then
        problem="$next was said to be committed and is not there: $(tail -n 2 "$EVENTS")"
        return 1
    fi
    if [ "$after" = $next ]; then
        committed=$((committed + 1))
        [ $status -eq 0 ] || committed_anyway=$((committed_anyway + 1))
    fi
    check "${after:-0}"
}

measure
rm -rf "$STORE"
failed_round=
for ((i = 1; i <= KILLS; i++)); do
    # The first cycle is killed some times, over and over; later a machine begins anew now and then.
    if [ $((i % 25)) -eq 0 ]; then
        rm -rf "$STORE" "${COPIES:?}"/*
    fi
    if ! round; then
        failed_round=$i
        break
    fi
    [ $((RANDOM % 3)) -eq 0 ] || change_sources
    # Now and then one comes through, so that there is something for retention to do.
    if [ $((RANDOM % 4)) -eq 0 ]; then
        next=$(($(latest) + 1))
        rm -rf "${COPIES:?}/$next"
        keep_copy $next vda "$vda"
        keep_copy $next vdb "$vdb"
        measure
        left=$(leftovers)
        if [ -n "$left" ] || ! check $next all; then
            failed_round="$i, the cycle after it"
            problem+=" $left"
            break
        fi
    fi
done
is "no promise was broken (round, seed $seed)" "$failed_round" ""
[ -z "$problem" ] || diag "$problem"
diag "$KILLS kills: $killed before the end, $committed_anyway of them after the commit, $survived came too late; $first_cycles first cycles"
ok "kills landed before and after the commit" [ $killed -ge $((KILLS / 2)) ] # most of them do
ok "some cycles came through" [ $committed -ge 3 ]

# The end: one cycle, then the recovery points that retention leaves, and no file more.
next=$(($(latest) + 1))
keep_copy $next vda "$vda"
keep_copy $next vdb "$vdb"
commits "a last cycle" "${arguments[@]}" --retain 1
ok "every recovery point is its copies" all_points_are_copies $next
is "nothing is left over" "$(leftovers)" ""
is "files of the machine" "$(cd "$STORE/$MACHINE" && find . -type f | sort | tr '\n' ' ')" \
    "$(printf '%s ' ./disks/vda/base.raw ./disks/vda/block-map ./disks/vdb/base.raw \
        ./disks/vdb/block-map ./lock ./machine.json "./recovery-points/$(printf %06d $next).json")"
ok "the store verifies" landfall store verify "$STORE" "$MACHINE" --json
done_testing
