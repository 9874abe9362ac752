#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cycle is killed at many instants while the guest writes: landfall, landfall-replicate, or both.
# What was committed stays proven; the next cycle cleans the host, is a delta by bitmap, and misses
# nothing. LANDFALL_SEED repeats a run's choices, LANDFALL_LONG=1 makes 200 kills instead of 20.
. "$(dirname "$0")/../appliance/live.sh"
requires strace

kills=$([ -n "${LANDFALL_LONG:-}" ] && echo 200 || echo 20)
seed=${LANDFALL_SEED:-$((EPOCHSECONDS % 32768))}
diag "LANDFALL_SEED=$seed"
RANDOM=$seed

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 48M
guest_make_disk "$KIT_TMP/vdb.qcow2" qcow2 32M
guest_define m1 --mode writer --rate 30 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:qcow2:$KIT_TMP/vdb.qcow2"
guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 20
cycle m1
cycle_ok "the first cycle"
cycle_ms=$(jq .cycle_ms <<<"$result")

# A kill follows one of these by a few milliseconds: what a cycle prints on its way.
instants=(start snapshot plan progress source-done snapshot-ended committed)
mkfifo "$KIT_TMP/never"
exec {never}<>"$KIT_TMP/never"

# To the millisecond, where a program would take longer to start.
pause() {
    read -r -t "$(printf '0.%03d' "$1")" -u "$never" || true
}

# Reads events as they come, so that the kill is not late; to the end where there is no such event.
read_until() {
    local line
    while read -r line <&"$events"; do
        echo "$line" >>"$KIT_TMP/cycle.events"
        [[ $line != *"\"event\":\"$1\""* ]] || return 0
    done
}

# kill_cycle VICTIM EVENT DELAY_MS: starts a cycle and kills. It may have ended by itself before.
kill_cycle() {
    local child=
    : >"$KIT_TMP/cycle.events"
    exec {events}< <(exec landfall cycle --host "$LIBVIRT_DEFAULT_URI" --machine m1 \
        --store "$live_store" --json --retain 3 ${bandwidth:+--bandwidth $bandwidth} \
        2>"$KIT_TMP/cycle.stderr")
    cycle_pid=$!
    [ "$2" = start ] || read_until "$2"
    pause "$3"
    { read -r child </proc/$cycle_pid/task/$cycle_pid/children; } 2>/dev/null || true
    [ "$1" = child ] || kill -s KILL $cycle_pid 2>/dev/null || true
    [ "$1" = parent ] || [ -z "$child" ] || kill -s KILL $child 2>/dev/null || true
    read_until nothing
    exec {events}<&-
    end_cycle
}

# A cycle whose child alone was killed has seen it, and cleans up by itself.
survivor() {
    tr '\n' ' ' <<<"$status $messages $result"
}

# try NAME: all that must hold after a kill.
try() {
    local name=$1 acked options=(--retain 3) disk
    ok "$name: the latest recovery point is proven" landfall store verify "$live_store" m1
    guest_wait_more_acked m1 10 3
    acked=$(guest_acked m1)
    [ $((number % 5)) -ne 0 ] && [ "$number" -ne "$kills" ] || options+=(--on-snapshot "$live_hook")
    cycle m1 "${options[@]}"
    cycle_ok "$name: the next cycle"
    [ "$status" -ne 0 ] || cycle_ms=$(jq .cycle_ms <<<"$result")
    is "$name: it is a delta by bitmap" "$(modes)" "vda=bitmap vdb=bitmap"
    is "$name: nothing is left on the host" "$(left_on_host m1)" "$nothing_left"
    for disk in vda vdb; do
        ok "$name: export $disk" export_disk m1 0 $disk
    done
    ok "$name: one state, with all that was acknowledged" \
        record-check --at-least "$acked" "$KIT_TMP/copy.vda" "$KIT_TMP/copy.vdb"
    [ ${#options[@]} -eq 2 ] || same_as_independent "$name" vda vdb
}

killed=0
for number in $(seq "$kills"); do
    case $((RANDOM % 4)) in 0) victim=child ;; 1) victim=both ;; *) victim=parent ;; esac
    instant=${instants[RANDOM % ${#instants[@]}]}
    # From the start, anywhere in a cycle; from a later event, not long after it.
    if [ "$instant" = start ]; then range=$((cycle_ms + 1)); else range=25; fi
    delay=$((RANDOM % range))
    bandwidth=$((RANDOM % 2 == 0 ? 16 : 0))
    [ $bandwidth -ne 0 ] || bandwidth=
    name="kill $number ($victim, $instant + $delay ms)"
    kill_cycle $victim "$instant" $delay
    if [ $victim = child ]; then
        like "$name: the survivor says so, or was done" "$(survivor)" \
            '^1 .*landfall-replicate was killed by signal 9|^0 .*"number"'
        is "$name: the survivor leaves nothing" "$(left_on_host m1)" "$nothing_left"
    fi
    [ "$status" -eq 0 ] || killed=$((killed + 1))
    try "$name"
done
ok "enough cycles were killed before their end ($killed of $kills)" [ $((killed * 4)) -ge "$kills" ]

# --- a child that outlives its parent, and commits ----------------------------------------------

# Held up in the renames that are its commit, it heeds no signal. The next cycle waits for it: one
# that did not would delete the checkpoint that is about to be the last.
points() {
    landfall store list "$live_store" m1 --json | jq '.recovery_points[-1].number'
}

name="a child commits after its parent was killed"
before=$(points)
guest_wait_more_acked m1 10 20
begin_cycle m1 --bandwidth 16
ok "$name: the cycle reads" cycle_reaches plan
child=$(pgrep -P $cycle_pid)
start_background strace -f -p "$child" -e trace=rename,renameat,renameat2 \
    -e inject=rename,renameat,renameat2:delay_enter=1000000
ok "$name: all is read" cycle_reaches source-done
ok "$name: it is at its commit" wait_for 20 grep -q rename "$KIT_LOG"
kill -s KILL $cycle_pid
end_cycle
number=$kills
try "$name"
is "$name: it did commit" "$(points)" $((before + 2))

ok "every recovery point is proven" landfall store verify "$live_store" m1 --all
is "three recovery points are left" \
    "$(landfall store list "$live_store" m1 --json | jq '.recovery_points | length')" 3
done_testing
