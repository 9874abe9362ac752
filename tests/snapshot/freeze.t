#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest is thawed whatever happens (S5): at the deadline when libvirt hangs, after an agent that
# does not answer, and never when the freeze is somebody else's.

. "$(dirname "$0")/room.sh"

guest_make_disk "$room_images/a.qcow2" qcow2 64M ext4
guest_define demo --mode agentfs --agent --disk "vda:qcow2:$room_images/a.qcow2"
guest_start demo
guest_wait_ready demo

agent_says() {
    [ "$(virsh -q qemu-agent-command demo "{\"execute\":\"guest-$1\"}" | jq -r .return)" = "$2" ]
}
wait_for 30 agent_says ping '{}'
no_marker() {
    ! virsh dumpxml demo | grep landfall:
}

cycle abort --machine demo --disk vda
is "frozen while the snapshot is taken" \
    "$(jq -r '"\(.consistency) \(.warnings | length)"' <<<"$taken")" "filesystem 0"
ok "thawed after it" agent_says fsfreeze-status thawed
ok "the marker is gone" no_marker

# libvirt's begin hangs for six seconds, the guest may stand still for two.
SNAPSHOT_FAULT=virDomainBackupBegin:delay:6000 "$room_tool" hold --machine demo --disk vda \
    --deadline-ms 2000 </dev/null >"$KIT_TMP/hung" &
hung=$!
wait_for 20 agent_says fsfreeze-status frozen
started=$(kit_now)
wait_for 20 agent_says fsfreeze-status thawed
[ $(($(kit_now) - started)) -lt 4000000 ]
ok "S5: thawed at the deadline while libvirt hangs" kill -0 $hung
wait $hung
answer=$(<"$KIT_TMP/hung")
is "S5: then it is crash-consistent" "$(field .consistency)" crash
like "S5: and says why" "$(field '.warnings[]')" "thawed at the freeze deadline"
ok "the marker is gone" no_marker

# --- killed or stopped while the guest is frozen ------------------------------------------------

thawed_by_guard() {
    ok "$1: thawed without another cycle" wait_for 20 agent_says fsfreeze-status thawed
    ok "$1: the marker is gone" wait_for 20 no_marker
    room clean --machine demo
    unlike "$1: nothing is left for clean to thaw" "$(field .removed)" thawed
    ok "$1: the guest writes on" guest_wait_more_acked demo 20 1
}

for step in virDomainFSFreeze:kill-before virDomainFSFreeze:kill-after \
    virDomainBackupBegin:kill-after virDomainFSThaw:kill-after; do
    run env SNAPSHOT_FAULT=$step "$room_tool" hold --machine demo --disk vda --guard \
        --deadline-ms 60000
    is "S5: $step: killed" "$status" 137
    thawed_by_guard "S5: $step"
done

"$room_tool" hold --machine demo --disk vda --guard --deadline-ms 60000 </dev/null \
    >"$KIT_TMP/out"
is "S5: a guard that is not needed ends with the freeze" "$(pgrep -fc "guard qemu" || true)" 0

# It thaws at the deadline, with two seconds' grace, when all of us stands still.
SNAPSHOT_FAULT=virDomainBackupBegin:delay:3000 "$room_tool" hold --machine demo --disk vda \
    --guard --deadline-ms 2500 </dev/null >"$KIT_TMP/stopped" &
stopped=$!
wait_for 20 agent_says fsfreeze-status frozen
kill -s STOP $stopped
thawed_by_guard "S5: stopped"
kill -s CONT $stopped
wait $stopped
answer=$(<"$KIT_TMP/stopped")
is "S5: stopped: it claims no more than there was" "$(field .consistency)" crash
like "S5: stopped: and says why" "$(field '.warnings[]')" "thawed"

virsh -q domfsfreeze demo >"$KIT_TMP/.virsh"
cycle abort --machine demo --disk vda
answer=$taken
is "somebody else has frozen: crash-consistent with a warning" "$(field .consistency)" crash
like "the warning has the agent's words" "$(field '.warnings[]')" "could not be frozen: .*guest-fsfreeze-freeze"
ok "somebody else's freeze is left to him" agent_says fsfreeze-status frozen
virsh -q domfsthaw demo >"$KIT_TMP/.virsh"

# A stuck agent does late what it was told: it freezes when nobody expects it any more.
guest_run demo 'killall -STOP qemu-ga'
started=$(kit_now)
hold --machine demo --disk vda --deadline-ms 1000
is "a stuck agent: crash-consistent" "$(field .consistency)" crash
like "with a warning" "$(field '.warnings | join(" ")')" "could not be frozen"
ok "and without a long wait" [ $(($(kit_now) - started)) -lt 30000000 ]
guest_run demo 'killall -CONT qemu-ga'
ok "S5: its late freeze is thawed while the snapshot lasts" \
    wait_for 20 agent_says fsfreeze-status thawed
hold_say abort
hold_done
ok "and the marker is gone" no_marker

guest_run demo 'killall -STOP qemu-ga'
cycle abort --machine demo --disk vda --deadline-ms 1000
hold_warnings=$(jq -r '.warnings | join(" ")' <<<"$answer")
like "a stuck agent in a short cycle: the warning says what to do" "$hold_warnings" "domfsthaw"
ok "the marker stays" eval '! no_marker'
guest_run demo 'killall -CONT qemu-ga'
wait_for 20 agent_says fsfreeze-status frozen
room clean --machine demo
like "S5: the next clean thaws it" "$(field .removed)" "thawed"
ok "it is thawed" agent_says fsfreeze-status thawed
ok "and the marker is gone" no_marker

cycle abort --machine demo --disk vda --no-freeze
is "freezing can be left out" \
    "$(jq -r '"\(.consistency) \(.warnings | length)"' <<<"$taken")" "crash 0"
virsh -q suspend demo
cycle abort --machine demo --disk vda
is "a paused guest is not asked" \
    "$(jq -r '"\(.consistency) \(.warnings | length)"' <<<"$taken")" "crash 0"
is "and stays paused" "$(guest_state demo)" paused
virsh -q resume demo
guest_run demo 'killall qemu-ga'
cycle abort --machine demo --disk vda
like "an agent that is gone is a warning" "$(jq -r '.warnings[]' <<<"$taken")" "is not running"
guest_wait_more_acked demo 20 3
pass "the guest goes on writing"
done_testing
