#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest is shut down for its move, by its agent or its power button; one that does not go is left
# running as it was, or forced off, as the operator has chosen. Its host does not start it meanwhile.
. "$(dirname "$0")/steps.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
guest_define m1 --mode idle --disk "vda:qcow2:$KIT_TMP/vda.qcow2"
guest_make_disk "$KIT_TMP/vdb.qcow2" qcow2 32M
guest_define m2 --mode idle --agent --disk "vda:qcow2:$KIT_TMP/vdb.qcow2"
virsh -q autostart m1 >/dev/null
before=$(definition_of m1)
guest_start m1
guest_start m2
ok "a guest without an agent boots" guest_wait_ready m1
ok "a guest with one boots" guest_wait_ready m2

as_it_was() {
    is "$1: it runs" "$(guest_state m1)" running
    is "$1: it starts with its host, as before" "$(autostart_of m1)" enable
    is "$1: its definition is what it was" "$(definition_of m1)" "$before"
}

# --- a guest that does not hear -----------------------------------------------------------------

guest_run m1 'killall acpid; while pidof acpid; do usleep 20000; done' >/dev/null
step shutdown m1 '{"options": {"shutdown_deadline_s": 2}}'
is "F10: deaf: the step fails" "$status" 1
like "F10: deaf: it says why, and what can be done" "$messages" \
    'error source: machine m1 did not shut down in 2 s .*--on-deadline force'
as_it_was "F10: deaf"

begin_step shutdown m1
wait_for 20 eval '[ "$(autostart_of m1)" = disable ]'
pass "F11: while it is asked, its host does not start it"
kill -s TERM "$step_pid"
end_step
is "F10: cancelled: the step fails" "$status" 1
like "F10: cancelled: it says so" "$messages" 'error cancelled: cancelled'
as_it_was "F10: cancelled"

virsh -q suspend m1 >/dev/null
step shutdown m1
like "F10: suspended: it is not waited for" "$messages" 'error conflict: machine m1 is suspended: its guest cannot'
virsh -q resume m1 >/dev/null
as_it_was "F10: suspended"

# Killed while it asks: run again, it goes on. In between somebody has the guest listen.
begin_step shutdown m1
wait_for 20 eval '[ "$(autostart_of m1)" = disable ]'
kill -s KILL "$step_pid"
end_step
guest_run m1 'acpid -c /etc/acpi -p /run/acpid.pid'
asked=$(kit_now)
step shutdown m1
step_ok "F12: killed: the same step again"
is "F12: killed: the power button helped" "$(fact how)" acpi
is "F12: killed: it is known how it was" "$(fact autostart)" true
ok "F10: the time of its end is told" test "$(fact off_at_us)" -gt "$(date +%s -d '1 minute ago')000000"
ok "F10: and how long it took" test "$(fact ms)" -le $((($(kit_now) - asked) / 1000))
ok "it is off" guest_is_off m1
step shutdown m1
step_ok "F12: it is off already: the same step again"
is "F12: off already: that is fine" "$(fact how) $(fact ms) $(fact autostart)" "already-off 0 true"
is "F11: off: its host does not start it" "$(autostart_of m1)" disable
step unfence m1
step_ok "F11: going back"
is "F11: going back: it starts with its host" "$(autostart_of m1)" enable
is "F11: going back: its definition is what it was" "$(definition_of m1)" "$before"

# --- force, a guest that starts again, the agent ------------------------------------------------

guest_start m1
ok "the guest boots again" guest_wait_ready m1
guest_run m1 'killall acpid; while pidof acpid; do usleep 20000; done' >/dev/null
cycle m1
cycle_ok "a cycle"
step shutdown m1 '{"options": {"shutdown_deadline_s": 1, "on_deadline": "force"}}'
step_ok "F10: forced: the step"
is "F10: forced: it says how" "$(fact how)" forced
like "F10: forced: it warns" "$messages" 'warning : machine m1 did not shut down in 1 s and is forced off'
ok "F10: forced: it is off" guest_is_off m1
cycle m1 --final
cycle_ok "F10: forced: the last cycle"
is "F10: forced: its bitmap is whole" "$(modes)" "vda=bitmap"

ok "the agent is there" wait_for 20 virsh -q qemu-agent-command m2 '{"execute":"guest-ping"}'
virsh -q set-lifecycle-action m2 poweroff restart --live >/dev/null
guest_run m2 'killall acpid' >/dev/null
step shutdown m2
step_ok "F10: agent: the step"
is "F10: agent: it says how" "$(fact how)" agent
ok "F10: agent: a guest that would start again stays off" guest_is_off m2
done_testing
