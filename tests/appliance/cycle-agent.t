#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# With a guest agent the recovery point's file system was frozen: whole, and with nothing in its
# journal. Where the agent cannot be had, the cycle succeeds all the same, crash-consistent, and says
# why.
. "$(dirname "$0")/live.sh"
requires debugfs e2fsck dumpe2fs

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M ext4
guest_define m1 --mode agentfs --agent --disk "vda:qcow2:$KIT_TMP/vda.qcow2"

agent_says() {
    [ "$(virsh -q qemu-agent-command m1 "{\"execute\":\"guest-$1\"}" | jq -r .return)" = "$2" ]
}

agent_is_gone() {
    [ "$(virsh dumpxml m1 | grep -c "org.qemu.guest_agent.0' state='disconnected'")" = 1 ]
}

guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the agent answers" wait_for 30 agent_says ping '{}'
guest_wait_acked m1 30 5

# agrees NAME CONSISTENCY WARNING STATE: the next cycle; files-check.sh's last word matches STATE.
agrees() {
    local acked
    acked=$(guest_acked m1)
    cycle m1 --on-snapshot "$live_hook" "${options[@]}"
    cycle_ok "$1: the cycle"
    is "$1: the result's consistency" "$(jq -r .consistency <<<"$result")" "$2"
    is "$1: the snapshot's consistency" \
        "$(jq -r 'select(.event == "snapshot").consistency' "$KIT_TMP/cycle.events")" "$2"
    like "$1: the warning" "$messages" "$3"
    ok "$1: export" export_disk m1 0 vda
    same_as_independent "$1" vda
    run files-check.sh "$KIT_TMP/copy.vda" "$acked"
    is "$1: the file system has all that was acknowledged" "$status" 0
    like "$1: its state" "$output" "$4"
    ok "$1: the guest writes on" guest_wait_more_acked m1 20 3
    is "$1: nothing is left on the host" "$(left_on_host m1)" "$left"
}

options=()
left=$nothing_left
cycle m1
cycle_ok "the first cycle"
for n in 1 2 3; do
    agrees "frozen, $n" filesystem '^$' 'last [0-9]+ clean$'
    ok "frozen, $n: the guest is thawed" agent_says fsfreeze-status thawed
    is "frozen, $n: it is a delta" "$(modes)" vda=bitmap
    guest_wait_more_acked m1 20 5
done

options=(--no-freeze)
agrees "not asked" crash '^$' 'last [0-9]+ (clean|journal)$'

# An agent that is stuck does not answer the thaw either: the note to try again stays on the host.
# Once it comes to, it does what it was told first, and freezes; the next cycle thaws.
left=${nothing_left/markers: 0/markers: 1}
guest_run m1 'killall -STOP qemu-ga'
options=(--freeze-deadline 2)
begun=$(kit_now)
agrees "the agent is stuck" crash 'warning snapshot: .*file systems could not be frozen: .*agent' \
    'last [0-9]+ (clean|journal)$'
ok "the agent is stuck: that does not hold the cycle up for long" \
    [ $((($(kit_now) - begun) / 1000000)) -lt 120 ]
like "the agent is stuck: the thaw is left to the next cycle" "$messages" \
    'could not be thawed: .*the next cycle tries again'
guest_run m1 'killall -CONT qemu-ga'
ok "the agent answers again" wait_for 30 agent_says ping '{}'
options=()
left=$nothing_left
agrees "the agent is back" filesystem "warning cleaned:  thawed the guest's file systems" \
    'last [0-9]+ clean$'
ok "the agent is back: the guest is thawed" agent_says fsfreeze-status thawed

# A cycle that is killed while the agent has yet to carry out the freeze leaves a process behind that
# thaws the guest, however late that is.
guest_run m1 'killall -STOP qemu-ga'
begin_cycle m1 --freeze-deadline 20
ok "killed while freezing: the guard is there" wait_for 10 pgrep -f 'thaw-guard qemu:///system'
wait_for 5 eval 'virsh dumpxml m1 | grep -q landfall:frozen'
kill -s KILL "$cycle_pid"
end_cycle
guest_run m1 'killall -CONT qemu-ga'
ok "killed while freezing: the guard has done its work" \
    wait_for 40 eval '! pgrep -f "thaw-guard qemu:///system"'
ok "killed while freezing: the guest is thawed" agent_says fsfreeze-status thawed
ok "killed while freezing: it writes on" guest_wait_more_acked m1 20 3
agrees "killed while freezing: the next cycle" filesystem '^(warning cleaned: [^;]*)?$' 'last [0-9]+ clean$'

guest_run m1 'killall -KILL qemu-ga'
ok "libvirt has seen that the agent is gone" wait_for 10 agent_is_gone
agrees "the agent is gone" crash \
    'warning snapshot:  file systems were not frozen: the guest agent is not running' \
    'last [0-9]+ (clean|journal)$'
ok "every recovery point is proven" landfall store verify "$live_store" m1 --all
done_testing
