#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The end of the daemon while it has something to do: jobs get a while, then they are cancelled, the
# guest is let go, nobody waits longer than that, and the next daemon goes on.
. "$(dirname "$0")/daemon.sh"

# 8 MiB at 1 MiB a second: a cycle of eight seconds.
tiny_define slow 16M
tiny_write slow 0 8M 7
tiny_define next
set_drain() {
    landfall setting set drain_s "$1" >"$KIT_TMP/said"
}
running() {
    state_is "SELECT count(*) FROM job WHERE machine = $slow AND state = 'running'" 1 &&
        [ -n "$(pgrep -x landfall-replic)" ] && [ "$(virsh -q domjobinfo slow | grep -c Backup)" = 1 ]
}
ended() {
    process_is_gone "$daemon_pid"
}

# --- a job that takes too long ------------------------------------------------------------------

daemon_start
set_drain 2
landfall setting set cycles_max 1 >"$KIT_TMP/said"
slow=$(replicate slow --interval 1h --bandwidth 1M)
ok "a long cycle begins" wait_for 20 running
waiting=$(replicate next --interval 1h)
begin=$EPOCHREALTIME
kill -s TERM "$daemon_pid"
ok "the API answers while jobs go on" landfall job list
ok "J9: the long cycle goes on for a while" running
ok "the daemon ends all the same" wait_for 20 ended
status=0
wait "$daemon_pid" || status=$?
is "with its usual exit code" "$status" 0
took_ms=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
ok "after the while and no longer ($took_ms ms)" test $took_ms -ge 1900 -a $took_ms -lt 15000
is "J9: the cycle was cancelled" "$(state "SELECT state FROM job WHERE machine = $slow")" cancelled
is "the guest was let go, and nothing of the cycle is on the host" "$(left_of slow)" \
    'checkpoints: 0, Job type: None'
is "none of its processes is left" "$(pgrep 'landfall' || true)" ''
is "nothing new began meanwhile" "$(state "SELECT count(*) FROM job WHERE machine = $waiting AND state != 'queued'")" 0

# --- the next daemon ----------------------------------------------------------------------------

daemon_start
set_drain 30
soon() {
    state_is "SELECT next_due_us < $((${EPOCHREALTIME/./} + 60000000)) FROM replication WHERE machine = $slow" 1
}
ok "the next daemon begins it within a minute, not an interval later" wait_for 10 soon
landfall sync slow >"$KIT_TMP/said"
ok "or at once when asked to" wait_for 20 running
# One that comes while another is pending is the same one.
kill -s TERM "$daemon_pid"
sleep 0.5
ok "which is waited for" running
begin=$EPOCHREALTIME
kill -s TERM "$daemon_pid"
ok "a second signal does not wait" wait_for 20 ended
took_ms=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
ok "at all ($took_ms ms)" test $took_ms -lt 4000
no_process() {
    [ -z "$(pgrep landfall)" ]
}
ok "and the cycle ends by itself" wait_for 20 no_process
ok "nothing of it is on the host" wait_for 5 test "$(left_of slow)" = 'checkpoints: 0, Job type: None'

daemon_start
landfall sync slow >"$KIT_TMP/said"
ok "a cycle begins again" wait_for 20 running
landfall settings slow --bandwidth 0 >"$KIT_TMP/said"
kill -s TERM "$daemon_pid"
ok "J9: one that ends in time is waited for, and not a moment longer" wait_for 20 ended
is "and is done" "$(state "SELECT state FROM job WHERE machine = $slow ORDER BY id DESC LIMIT 1")" 'done'
is "its checkpoint is the host's" "$(left_of slow)" 'checkpoints: 1, Job type: None'
ok "its recovery point is proven" landfall store verify "$daemon_store" slow --all

# --- how fast -----------------------------------------------------------------------------------

# What the daemon says of that may come late: nothing is read before. 8 MiB at 4 MiB a second, after a second.
told() {
    sleep 1
    echo '{"bandwidth": 4194304}'
}
begin=$EPOCHREALTIME
ok "J5: a cycle that is told late how fast it may read" landfall cycle --host qemu:///system --machine slow \
    --store "$daemon_store" --full-scan --control < <(told)
took_ms=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
ok "reads no faster from its first byte on ($took_ms ms)" test $took_ms -ge 2500
done_testing
