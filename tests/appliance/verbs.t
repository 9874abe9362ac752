#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an operator asks of a running scheduler: sync, pause, blackout, bandwidth, cancel, verify, stop;
# and what is left of it when the daemon ends meanwhile.
. "$(dirname "$0")/daemon.sh"

# job_of COMMAND…: the number of the job that the command started.
job_of() {
    "$@" --json | jq .job
}
job_is() {
    [ "$(landfall job show "$1" --json | jq -r .state)" = "$2" ]
}
points_of() {
    state "SELECT coalesce(last_point, 0) FROM replication WHERE machine = $1"
}
now_window() {
    echo "$(date -u -d '-1 hour' +%H):00-$(date -u -d '+3 hours' +%H):00"
}

tiny_define m1 64M
daemon_start
landfall setting set timezone UTC >/dev/null

# --- settings -----------------------------------------------------------------------------------

wait_for 20 landfall machine show m1
fails "an interval below the least" landfall replicate m1 --store main --interval 0s
run landfall replicate m1 --store main --blackout '00:00-24:00'
like "a blackout of all the week is refused" "$status $output" '^2 .*covers the whole week'
m1=$(replicate m1 --interval 1h --retain 5)
ok "the first copy comes at once" wait_for 20 state_is \
    "SELECT ever_committed FROM replication WHERE machine = $m1" 1
run landfall replicate m1 --store main
like "a machine is replicated once" "$status $output" '^1 .*machine m1 is replicated already'
run landfall settings m1 --exclude-disk vdz
like "a disk that is not there cannot be left out" "$status $output" "^2 .*m1 has no disk 'vdz'.*its disks are vda"
like "how it is replicated" "$(landfall machine show m1)" 'retain +5.*consistency +auto'
landfall settings m1 --retain 4 --priority 7 >/dev/null
is "settings change" "$(state "SELECT retain, priority, interval_s FROM replication")" "4|7|3600"
is "with who and when" "$(state "SELECT who, action, object, at_us > 0, json_extract(detail, '\$.retain') FROM audit \
    WHERE action = 'replication.change'")" "socket:root|replication.change|machine/$m1|1|4"

# --- sync, pause, blackout ----------------------------------------------------------------------

tiny_write m1 0 1M 1
before=$(points_of "$m1")
ok "sync is a cycle now" landfall sync m1 --follow
is "with a recovery point" "$(points_of "$m1")" $((before + 1))
landfall pause m1 >/dev/null
landfall settings m1 --interval 1s >/dev/null
before=$(state "SELECT count(*) FROM job")
run wait_for 2 state_is "SELECT count(*) > $before FROM job" 1
is "J2: a machine that is paused gets no cycles" "$(state "SELECT count(*) FROM job")" "$before"
ok "J2: unless somebody asks for one" landfall sync m1 --follow
is "its state says so" "$(landfall machine show m1 --json | jq -r .state)" paused
landfall settings m1 --blackout "$(now_window)" >/dev/null
before=$(state "SELECT count(*) FROM job")
landfall resume m1 >/dev/null
run wait_for 2 state_is "SELECT count(*) > $before FROM job" 1
is "J2: no cycle begins in a blackout" "$(state "SELECT count(*) FROM job")" "$before"
ok "J2: unless somebody asks for it" landfall sync m1 --follow
before=$(state "SELECT count(*) FROM job")
landfall settings m1 --blackout none >/dev/null
ok "it goes on when the blackout is over" wait_for 10 state_is "SELECT count(*) > $before + 1 FROM job" 1
landfall settings m1 --interval 1h >/dev/null

# --- bandwidth, cancel, drain -------------------------------------------------------------------

# slow_cycle: one that would take a minute; $job is its number.
slow_cycle() {
    local byte=$((RANDOM % 200 + 10))
    wait_for 20 state_is "SELECT count(*) FROM job WHERE state = 'running'" 0
    landfall settings m1 --bandwidth 1M >/dev/null
    tiny_write m1 0 60M $byte
    job=$(job_of landfall sync m1)
    wait_for 20 state_is "SELECT rate > 0 AND step = 'reading' FROM job WHERE id = $job" 1
}

slow_cycle
like "a job tells how far it is" "$(landfall job show "$job" --json | jq -c '[.rate > 0, .left_s > 0, .total_bytes]')" \
    'true,true,62914560'
landfall settings m1 --bandwidth unlimited >/dev/null
ok "J5: more bandwidth reaches a cycle that runs" wait_for 15 job_is "$job" "done"

slow_cycle
landfall setting set bandwidth 4194304 >/dev/null
landfall settings m1 --bandwidth unlimited >/dev/null
wait_for 10 state_is "SELECT rate BETWEEN 2000000 AND 6000000 FROM job WHERE id = $job" 1
ok "J5: what there is for all is kept to" state_is "SELECT rate BETWEEN 2000000 AND 6000000 FROM job WHERE id = $job" 1
before=$(points_of "$m1")
landfall job cancel "$job" >/dev/null
ok "a job that runs is cancelled" wait_for 20 job_is "$job" cancelled
is "one that has ended has no step" "$(state "SELECT count(*) FROM job WHERE ended_us AND step IS NOT NULL")" 0
is "without a recovery point" "$(points_of "$m1")" "$before"
is "and the host is clean" "$(left_of m1)" "checkpoints: 1, Job type: None"
is "that is no failure" "$(state "SELECT failures, state FROM replication")" "0|replicating"
fails "one that has ended is not cancelled" landfall job cancel "$job"
landfall setting set bandwidth 0 >/dev/null

slow_cycle
landfall setting set drain_s 1 >/dev/null
daemon_stop
is "J9: what takes too long when the daemon ends is cancelled" \
    "$(state "SELECT state, json_extract(error, '\$.message') FROM job WHERE id = $job")" "cancelled|landfalld was stopped"
is "J9: and the host is clean" "$(left_of m1)" "checkpoints: 1, Job type: None"
daemon_start
landfall settings m1 --bandwidth unlimited >/dev/null
ok "a job verifies" landfall verify m1 --follow
like "with its proof" "$(state "SELECT result FROM job WHERE kind = 'verify'")" '"proven":true'
run landfall verify m1 --recovery-point 99 --follow
like "not of what is not there" "$status $output" '^2 .*machine m1 has no recovery point 99.*hint: there are'

# --- stop ---------------------------------------------------------------------------------------

libvirtd_stop
landfall settings m1 --interval 1s >/dev/null
job=$(job_of landfall stop m1 --delete-replica)
ok "J10: an end that cannot be made is tried again" wait_for 20 state_is \
    "SELECT attempt >= 2 AND state != 'done' FROM job WHERE id = $job" 1
fails "it cannot be cancelled" landfall job cancel "$job"
fails "nor can the machine be synced" landfall sync m1
kill -s KILL "$daemon_pid"
wait_for 5 process_is_gone "$daemon_pid"
libvirtd_start
daemon_start
ok "J10: also by the next daemon" wait_for 60 state_is "SELECT state FROM job WHERE id = $job" "done"
is "the machine is not replicated any more" "$(state "SELECT count(*) FROM replication")" 0
is "nothing is left on the host" "$(left_of m1)" "checkpoints: 0, Job type: None"
is "nor in the store" "$(landfall store list "$daemon_store" --json | jq '.machines | length')" 0
m1=$(replicate m1 --interval 1h)
wait_for 20 state_is "SELECT ever_committed FROM replication WHERE machine = $m1" 1
ok "it is replicated anew, and stopped with its replica kept" landfall stop m1 --follow
ok "J10: what is to be kept is proven" landfall store verify "$daemon_store" m1

# --- a host that is gone for good ---------------------------------------------------------------

# Its libvirtd is just being restarted.
libvirtd_stop
wait_for 20 state_is "SELECT status FROM host" lost
landfall replicate m1 --store main --interval 1h >"$KIT_TMP/asked" 2>&1 &
asked=$!
sleep 0.5
libvirtd_start
wait $asked && status=0 || status=$?
is "F34: whoever asks for a replication is not refused for what was seen before" $status 0
diag "$(<"$KIT_TMP/asked")"
m1=$(state "SELECT machine FROM replication")
wait_for 20 job_is "$(state "SELECT max(id) FROM job WHERE kind = 'cycle'")" "done"
libvirtd_stop
job=$(job_of landfall stop m1 --delete-replica)
wait_for 20 state_is "SELECT attempt >= 2 FROM job WHERE id = $job" 1
is "J10: an end that does not come may leave the host alone" "$(job_of landfall stop m1 --abandon)" "$job"
ok "and then it comes" wait_for 20 job_is "$job" "done"
like "with a word on what may be there" "$(state "SELECT result FROM job WHERE id = $job")" 'left as it is.*landfall-'
is "the replica is gone, as asked for" "$(landfall store list "$daemon_store" --json | jq '.machines | length')" 0
landfall host remove local >/dev/null
is "the host can be removed" "$(state "SELECT count(*) FROM host")" 0
daemon_stop
done_testing
