#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test, then a move, to a host that does not see the store, by the daemon: the machine boots from what is
# served, its disks come into that host's pool, and the move is made final. LANDFALL_LONG=1: also to one that is
# lost for good.
. "$(dirname "$0")/failover.sh"
# shellcheck source=tests/kit/remote.sh
. "$(dirname "$0")/../kit/remote.sh"

define_network production prod0
remote_start there
sshd=$KIT_PID
there_uri=$LIBVIRT_OTHER_URI
there define_network lan lan0
mkdir "$KIT_TMP/pool"
there virsh -q pool-define-as pool dir --target "$KIT_TMP/pool" >/dev/null
there virsh -q pool-start pool >/dev/null
start_witness
define_counting $machine 25
guest_start $machine
guest_wait_acked $machine $patience 20

start_daemon
landfall host add here "$LIBVIRT_DEFAULT_URI" >/dev/null
landfall host add there "$REMOTE_URI" --ssh-key-file "$remote_key" >/dev/null
landfall store add main "$store" >/dev/null
landfall setting set interval_min_s 1 >/dev/null
landfall target set there --network production=lan --pool pool >/dev/null
wait_for 30 landfall replicate $machine --store main --interval 1h >/dev/null 2>&1
ok "it has a recovery point" wait_for $patience has_point $machine

# The first port is somebody else's, and free again by the time the server is started once more.
start_background nc -l -k 10.77.0.1 10809
other=$KIT_PID
said_by "F40: a test from what is served" 0 'passed' \
    landfall test-migrate $machine --target there --probe power=1 --follow

# After a restart of this machine there is neither daemon nor server.
copy=$(operation .domain_name test)
is_there() {
    [ "$(there virsh -q domstate "$copy" --reason | grep .)" = "$1" ]
}
written_there() {
    there virsh -q domblkstat "$copy" vda | awk '$2 == "wr_req" { print $3 }' | grep .
}
has_written_more() {
    [ "$(written_there)" -gt $(($1 + 10)) ]
}
# restarted STATE: of the test, before and after.
restarted() {
    local written
    kill_daemon
    stop_process "$(cat "$store"/*/clones/*/nbd.pid)" KILL
    ok "$1: without its server it stands still" wait_for $patience is_there "paused (I/O error)"
    written=$(written_there)
    start_daemon
    ok "F42: $1: the next daemon has its disks served once more: it writes on" \
        wait_for $patience has_written_more "$written"
    ok "$1: as a part of the same test" wait_for $patience served_again "$1"
}
served_again() {
    [ "$(operation '[.state, .steps[-1].step, .steps[-1].state] | join(" ")' test)" = "$1 serve done" ]
}

[ -z "${LANDFALL_LONG:-}" ] || restarted live
# It cannot be taken away, and runs on.
{ stop_process "$sshd"; } 2>/dev/null
said_by "its end, while its host does not answer" 1 'stop: ' landfall test-cleanup $machine --follow
remote_serve 10.77.0.2 2200 nsenter --target "$(<"$KIT_TMP/libvirt-there/pid")" --net --mount
sshd=$KIT_PID
stop_process "$other"
restarted stuck

said_by "and its end" 0 '' landfall test-cleanup $machine --follow
is "no machine is left" "$(there virsh -q list --all --name | sed '/^$/d')" ""

# --- a target that is lost for good ---------------------------------------------------------------

host_is() {
    [ "$(landfall host show there --json | jq -r .status)" = "$1" ]
}
disk_is_pools() {
    there virsh -q domblklist $machine --inactive | grep "$KIT_TMP/pool/$machine-vda"
}
lost_for_good() {
    local left
    said_by "a move to what will be lost" 0 'was down for' \
        landfall migrate $machine --target there --probe power=2 --yes --follow
    ok "its disk comes into the pool there" wait_for $patience disk_is_pools
    never_two "F2: up to now it never ran twice"
    { stop_process "$(<"$KIT_TMP/libvirt-there/pid")" KILL; } 2>/dev/null
    { stop_process "$(pgrep -x qemu-system-x86)" KILL; } 2>/dev/null
    ok "its host is gone" wait_for $patience host_is lost
    said_by "F28: it is abandoned" 0 'left on host there: machine m1' \
        landfall rollback $machine --abandon-target --yes --follow
    is "F28: it runs where it came from" "$(guest_state $machine) $(state_of $machine)" "running replicating"
    is "F28: nothing is served any more" "$(pgrep -c qemu-storage-d || true)" 0
    is "F28: nothing of it is in the store" "$(find "$store"/*/clones "$store"/*/pins -mindepth 1)" ""
    nsenter --target "$sshd" --mount --net env --default-signal=INT,QUIT \
        libvirtd -p "$KIT_TMP/libvirt-there/libvirtd.pid" >/dev/null 2>&1 &
    echo $! >"$KIT_TMP/libvirt-there/pid"
    ok "the host is back" wait_for $patience host_is connected
    left=$(landfall report $machine --operation "$(operation .id migrate)" --json |
        jq -r '[.left_behind.left[].command] | join("; ")')
    there bash -c "$left" >"$KIT_TMP/left" 2>&1
    diag "$left: $(<"$KIT_TMP/left")"
    is "F28: what was said takes away what is left" \
        "$(there virsh -q list --all --name | xargs)$(there virsh -q vol-list pool | xargs)" ""
    start_witness
    ok "F28: replication goes on" landfall sync $machine --follow
}
[ -z "${LANDFALL_LONG:-}" ] || lost_for_good

# --- for good -------------------------------------------------------------------------------------

said_by "a move" 0 'was down for' landfall migrate $machine --target there --probe power=2 --yes --follow
acked=$(guest_acked $machine)
is "it is running there" "$(there guest_state $machine)" running
ok "its disk comes into the pool" wait_for $patience disk_is_pools
said_by "the move is made final" 0 '' landfall complete $machine --yes --follow
like "its report is found, though the machine is on both hosts" "$(landfall report $machine)" 'kind +migrate'
is "nothing is served any more" "$(pgrep -c qemu-storage-d || true)" 0
never_two "it never ran twice"
there virsh -q destroy $machine
qemu-img convert -O raw "$KIT_TMP/pool/$machine"-vda.*.qcow2 "$KIT_TMP/copy.raw"
ok "F49: no record is lost" record-check --at-least "$acked" "$KIT_TMP/copy.raw"
done_testing
