#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine that was moved away is marked so: its host does not start it, people see it, and Landfall
# neither starts nor replicates it. Taken back, nothing of that is left.
. "$(dirname "$0")/steps.sh"
# shellcheck source=tests/appliance/tiny.sh
. "$(dirname "$0")/../appliance/tiny.sh"

# run_a_moment NAME: somebody starts it, it writes a block, and he ends it.
run_a_moment() {
    virsh -q start "$1" --paused >/dev/null
    tiny_io "$1" "write -P 9 1M 64k"
    virsh -q destroy "$1" --graceful >/dev/null
}

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
guest_define m1 --mode idle --disk "vda:qcow2:$KIT_TMP/vda.qcow2"
virsh -q autostart m1 >/dev/null
virsh -q desc m1 --config --title 'Web & <shop>' >/dev/null
virsh -q metadata m1 --config --uri http://example.org/x --key x --set '<note>mine</note>' >/dev/null
before=$(definition_of m1)
guest_start m1
ok "the guest boots" guest_wait_ready m1
step fence m1
like "F13: a machine that runs is not gone" "$messages" 'error conflict: machine m1 runs on host here'
cycle m1
cycle_ok "a cycle"
step shutdown m1
step_ok "it is shut down"

begin_step fence m1
kill -s KILL "$step_pid" 2>/dev/null || true
end_step
step fence m1
step_ok "F12: it is fenced, killed or not"
is "F13: what was there before is known" "$(fact autostart) $(fact title) $(fact to)" 'true Web & <shop> there'
fenced=$(definition_of m1)
is "F13: its host does not start it" "$(autostart_of m1)" disable
like "F13: people see it" "$(virsh desc m1 --title --config)" \
    '^\[moved to there on 20[0-9-]* by Landfall: do not start\] Web & <shop>$'
step fence m1
step_ok "F12: fenced again"
is "F12: nothing changes" "$(definition_of m1)" "$fenced"

cycle m1
is "F14: it is not replicated" "$status" 1
like "F14: a cycle says why" "$messages" 'error conflict: +machine m1 was moved to host there .operation 12,'
cycle m1 --final
is "F14: nor for the last time" "$status" 1
step start-source m1
like "F14: it is not started" "$messages" 'error conflict: machine m1 was moved to host there'
is "F14: it is off" "$(guest_state m1)" "shut off"
is "F14: as it was" "$(definition_of m1)" "$fenced"
step fence m1 '{"operation": 13}'
like "F14: nor moved by another operation" "$messages" 'error conflict: machine m1 was moved to host there .operation 12,'
step unfence m1 '{"operation": 13}'
like "F14: nor taken back by one" "$messages" 'error conflict: machine m1 was moved to host there by another operation'

step unfence m1
step_ok "F11: taken back"
is "F11: its definition is what it was" "$(definition_of m1)" "$before"
is "F11: it starts with its host" "$(autostart_of m1)" enable
step unfence m1
step_ok "F12: taken back again"
is "F12: there was nothing" "$(fact was_fenced)" false

# A cycle that was killed has left it started paused: it is stopped, and then it starts.
begin_cycle m1 --on-snapshot "sleep 5"
ok "a cycle reads the machine that is off" cycle_reaches snapshot
kill -s KILL "$cycle_pid"
end_cycle
like "it was left paused" "$(guest_state m1)" paused
guest_console_start[m1]=$(stat -c %s "$KIT_TMP/m1.console")
step start-source m1
step_ok "F12: it is started"
is "F12: it was not running" "$(fact already)" false
guest_open_channel m1
ok "F12: the guest runs" guest_wait_ready m1
step start-source m1
is "F12: started again: it runs already" "$(fact already) $(fact started_at_us)" "true 0"
cycle m1
cycle_ok "it is replicated again"
is "by a delta" "$(modes)" "vda=bitmap"
is "nothing is left of that" "$(left_on_host m1)" "$nothing_left"

# --- the end of a move --------------------------------------------------------------------------

step shutdown m1
cycle m1 --final
cycle_ok "the last cycle"
final="{\"facts\": {\"final\": $result}}"
run_a_moment m1
step fence m1 "$final"
like "F13: what has run since its last cycle is not gone" "$messages" \
    'error conflict: the disks of machine m1 on host here have changed since its last cycle'
is "F13: nothing changes" "$(autostart_of m1) $(virsh desc m1 --title --config)" 'disable Web & <shop>'
cycle m1 --final
cycle_ok "the last cycle once more"
is "it has what was written" "$(disk_of vda changed_blocks)" 1
step fence m1 "{\"facts\": {\"final\": $result}}"
step_ok "F13: now it is"
step clean-source m1
step_ok "F15: the source is cleaned"
is "F15: no checkpoint is left" "$(left_on_host m1 | grep -v markers)" $'state: shut off\ncheckpoints: 0\nfiles:'
is "F15: no bitmap either" "$(qemu-img info --output=json "$KIT_TMP/vda.qcow2" |
    jq -c '."format-specific".data.bitmaps // []')" "[]"
is "F15: it is fenced still" "$(definition_of m1)" "$(definition_of m1 | grep -v started-paused)"
like "F15: it says so" "$(virsh desc m1 --title --config)" '^\[moved to there'
ok "F15: the replica is whole" landfall store verify "$live_store" m1 --all
step clean-source m1
step_ok "F12: cleaned again"
is "F12: there was nothing" "$(fact removed)" "[]"
step clean-source m1 '{"source": {"uri": "qemu+unix:///system?socket=/nowhere"}, "options": {"abandon": true}}'
step_ok "F15: a source whose host is gone is left as it is"
like "F15: it says so" "$(fact removed)" 'left as it is'

# --- what it has become elsewhere ---------------------------------------------------------------

# It waits for what it was, and does not run beside it.
step unfence m1
step fence m1
tiny_make m1-there 8M
virsh -q metadata m1-there --config --uri urn:landfall:machine --key landfall \
    --set "<machine owner='12' source='${step_uuids[m1]}'/>" >/dev/null
there=$(jq -nc --arg uuid "$(virsh -q domuuid m1-there | grep .)" \
    '{facts: {fence: {}, start: {}, define: {domain_uuid: $uuid}}, options: {deadline_s: 0}}')
virsh -q start m1 --paused >/dev/null
step start m1 "$there"
like "F2: somebody lets it run where it was" "$messages" 'error conflict: machine m1 runs on host here'
unlike "F2: it does not run elsewhere" "$(guest_state m1-there)" running
tiny_io m1 "write -P 8 1M 64k"
virsh -q destroy m1 --graceful >/dev/null
step start m1 "$there"
like "F2: it has run where it was" "$messages" 'error conflict: the disks of machine m1 on host here have changed'
unlike "F2: still not" "$(guest_state m1-there)" running
step unfence m1
step fence m1
step start m1 "$there"
step_ok "F2: it stands still where it was"
is "F2: so it runs elsewhere" "$(guest_state m1-there)" running
step start m1 "$(jq -c '.source.uri = "qemu+unix:///system?socket=/nowhere"' <<<"$there")"
step_ok "F12: it runs, wherever it was"
step stop m1 "$there"
step_ok "it is stopped"
step start m1 "$(jq -c '.source.uri = "qemu+unix:///system?socket=/nowhere"' <<<"$there")"
step_ok "F2: where it was nobody answers: it runs"
like "F2: that is told" "$messages" 'warning : whether it stands still where it was cannot be seen'

# Somebody takes it to a third host: nobody lets it run where it was.
virsh -q destroy m1-there >/dev/null
virsh -q undefine m1-there >/dev/null
clone=$live_store/${step_uuids[m1]}/clones/12
mkdir -p "$clone"
qemu-img create -q -f qcow2 "$clone/vda.qcow2" 8M
start_qemu_nbd "$KIT_TMP/third" -f qcow2 "$clone/vda.qcow2"
step stop m1 "$there"
like "F2: it runs on a third host" "$messages" 'error conflict: machine m1 is not on host there any more, and its disks are open'
stop_process "$KIT_PID"
step stop m1 "$there"
step_ok "F12: it is stopped there"
is "F26: it has gone" "$(fact how)" not-there
done_testing
