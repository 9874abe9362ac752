#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon and its children are killed at seeded instants, while cycles, retention and the state
# are written. The next daemon goes on by itself: state, store and host agree, and every recovery
# point is proven. LANDFALL_SEED repeats a run's choices, LANDFALL_LONG=1 makes 120 kills.
. "$(dirname "$0")/../appliance/daemon.sh"

kills=12
[ -z "${LANDFALL_LONG:-}" ] || kills=120
[ -z "${LANDFALL_SANITIZED:-}" ] || kills=6
seed=${LANDFALL_SEED:-$((EPOCHSECONDS % 32768))}
diag "LANDFALL_SEED=$seed"
RANDOM=$seed
machines=(k1 k2 k3)
declare -A ids=()

daemon_start
landfall setting set cycles_per_host_max 3 >/dev/null
for name in "${machines[@]}"; do
    tiny_define "$name" 8M
    ids[$name]=$(replicate "$name" --interval 1s --retain 2)
done

# To the millisecond, where a program would take longer to start.
mkfifo "$KIT_TMP/never"
exec {never}<>"$KIT_TMP/never"
pause() {
    read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" -u "$never" || true
}

# A few blocks here and there, so that there is something to send and to merge.
scribble() {
    local name
    for name in "${machines[@]}"; do
        tiny_write "$name" $((RANDOM % 120))"k" 64k $((RANDOM % 256))
        tiny_write "$name" $((RANDOM % 100 * 65536)) 64k $((RANDOM % 256))
    done
}

# kill_some VICTIM: the daemon, a cycle, the data path of one, or all that there is.
kill_some() {
    local cycles replicates victims
    cycles=$(pgrep -P "$daemon_pid" -x landfall || true)
    replicates=$(pgrep -x landfall-replic || true)
    case $1 in
    daemon) victims=$daemon_pid ;;
    cycle) victims=$(head -n 1 <<<"$cycles") ;;
    replicate) victims=$(head -n 1 <<<"$replicates") ;;
    both) victims="$daemon_pid $(head -n 1 <<<"$cycles")" ;;
    all) victims="$daemon_pid $cycles $replicates" ;;
    esac
    # shellcheck disable=SC2086  # one word each
    kill -s KILL $victims 2>/dev/null || true
    process_is_gone "$daemon_pid" || [[ $1 == cycle || $1 == replicate ]] || wait_for 5 process_is_gone "$daemon_pid"
}

verify_all() {
    local name
    for name in "${machines[@]}"; do
        ! compgen -G "$daemon_store/$(virsh -q domuuid "$name" | tr -d ' \n')/recovery-points/*.json" >/dev/null ||
            landfall store verify "$daemon_store" "$name" --all || return 1
    done
}

all_went_on() {
    local name
    for name in "${machines[@]}"; do
        state_is "SELECT last_point > ${before[$name]} AND failures = 0 FROM replication \
            WHERE machine = ${ids[$name]}" 1 || return 1
    done
}

last_in_store() {
    landfall store list "$daemon_store" "$1" --json | jq '.recovery_points[-1].number'
}

declare -A before=()
for number in $(seq "$kills"); do
    victims=(daemon daemon cycle replicate both all)
    victim=${victims[RANDOM % ${#victims[@]}]}
    scribble
    # Anywhere, or while a job runs.
    if ((RANDOM % 2)); then
        delay=$((RANDOM % 1500)) instant=anywhere
    else
        delay=$((RANDOM % 120)) instant="a job runs"
        wait_for 20 state_is "SELECT count(*) > 0 FROM job WHERE state = 'running'" 1
    fi
    name="kill $number ($victim, $instant + $delay ms)"
    pause $delay
    kill_some "$victim"
    if process_is_gone "$daemon_pid"; then
        ok "$name: J7: what was committed when it was killed is proven" verify_all
        daemon_start
    fi
    for machine in "${machines[@]}"; do
        before[$machine]=$(state "SELECT coalesce(last_point, 0) FROM replication WHERE machine = ${ids[$machine]}")
    done
    ok "$name: every machine goes on" wait_for 60 all_went_on
done

daemon_stop
is "J9: no job is left running" "$(state "SELECT count(*) FROM job WHERE state = 'running'")" 0
interrupted=$(state "SELECT count(*) FROM job WHERE state = 'failed' OR (kind = 'cycle' AND state = 'done' AND \
    json_extract(result, '\$.disks') IS NULL)")
ok "enough kills met a job ($interrupted of $kills)" [ $((interrupted * 4)) -ge "$kills" ]
is "every job that was interrupted has an end" \
    "$(state "SELECT count(*) FROM job WHERE ended_us IS NULL OR child_pid IS NOT NULL")" 0
for machine in "${machines[@]}"; do
    is "$machine: state and store agree" "$(last_in_store "$machine")" \
        "$(state "SELECT last_point FROM replication WHERE machine = ${ids[$machine]}")"
    ok "$machine: every recovery point is proven" landfall store verify "$daemon_store" "$machine" --all
    is "$machine: the host has what the last recovery point needs" "$(left_of "$machine")" "checkpoints: 1, Job type: None"
    landfall store export "$daemon_store" "$machine" --disk vda --format raw --force "$KIT_TMP/copy.raw" >/dev/null
    virsh -q destroy "$machine" >/dev/null
    ok "$machine: the replica is the disk" qemu-img compare -q "$KIT_TMP/copy.raw" "$KIT_TMP/$machine.qcow2"
done
done_testing
