#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a new daemon to replicated machines, by the daemon and its commands alone: a guest here and one
# on a host with a network of its own, behind ssh. What the recovery points hold is proven by what the
# guests wrote.
. "$(dirname "$0")/../kit/guest.sh"
. "$(dirname "$0")/../kit/remote.sh"
. "$(dirname "$0")/landfalld.sh"
requires jq script

export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock
store=$KIT_TMP/store

# machine NAME FILTER: of the daemon's machine.
machine() {
    landfall machine show "$1" --json | jq -r "$2"
}
machine_is() {
    [ "$(machine "$1" "$2")" = "$3" ]
}

# job_of COMMAND…: starts a job and prints its number.
job_of() {
    "$@" --json | jq -r .job
}
job_is() {
    [ "$(landfall job show "$1" --json | jq -r .state)" = "$2" ]
}

# proven NAME MACHINE AT-LEAST AT-MOST DISK…: the latest recovery point is one state the guest was in.
proven() {
    local name=$1 machine=$2 least=$3 most=$4 disk images=()
    shift 4
    for disk; do
        landfall store export "$store" "$machine" --disk "$disk" --force "$KIT_TMP/copy.$disk"
        images+=("$KIT_TMP/copy.$disk")
    done
    ok "$name" record-check --at-least "$least" --at-most "$most" "${images[@]}"
}

# --- two machines, two hosts --------------------------------------------------------------------

remote_start far
for disk in vda vdb; do
    guest_make_disk "$KIT_TMP/web-$disk.qcow2" qcow2 64M
done
guest_make_disk "$KIT_TMP/web-sda.qcow2" qcow2 32M
guest_make_disk "$KIT_TMP/db.qcow2" qcow2 64M
guest_define web --mode writer --disk "vda:qcow2:$KIT_TMP/web-vda.qcow2" \
    --disk "vdb:qcow2:$KIT_TMP/web-vdb.qcow2" --disk "sda:qcow2:$KIT_TMP/web-sda.qcow2"
guest_start web
(
    export LIBVIRT_DEFAULT_URI=$LIBVIRT_OTHER_URI
    guest_define db --mode writer --disk "vda:qcow2:$KIT_TMP/db.qcow2"
    virsh -q start db
)
landfalld_start d
status "a host" 0 'host here is added' landfall host add here qemu:///system
status "a host behind ssh, with its key" 0 'host far is added' landfall host add far "$REMOTE_URI" --ssh-key-file "$remote_key"
status "a store" 0 'store main' landfall store add main "$store"
ok "the machine here is known" wait_for 20 machine_is web .power running
ok "the machine there is known" wait_for 20 machine_is far/db .power running
like "the hosts" "$(landfall host list)" 'far +qemu\+ssh.* connected +1 .*here +qemu:///system +connected +1 '
like "the machines" "$(landfall machine list)" 'db +far +running +discovered.*web +here +running +discovered'
like "those of one host" "$(landfall machine list --host far --json | jq -c '[.items[].name]')" '^\["db"\]$'
status "a machine" 0 'disk +device +format.*vda +disk +qcow2 +64.0 MiB' landfall machine show web
status "a machine by its UUID" 0 'name +web' landfall machine show "$(virsh domuuid web)"
status "no such machine" 2 "no machine 'nobody'.*hint: landfall machine list" landfall machine show nobody
status "one that is ready" 0 'ok' landfall machine readiness web
ok "both guests write" wait_for 30 kit_acked_at_least web 50
ok "there, too" wait_for 30 kit_acked_at_least db 50

# --- the first copies ---------------------------------------------------------------------------

before=$(guest_acked web)
status "replicate, and follow" 0 'recovery point 1' landfall replicate web --store main --interval 1h --follow
after=$(guest_acked web)
proven "the first copy" web "$before" $((after + 2)) vda vdb
before=$(guest_acked db)
run landfall replicate far/db --store main --interval 1h30m --retain 3
is "replicate, and do not wait: exit code" "$status" 0
like "what to do next" "$output" 'landfall job follow [0-9]+ shows its progress'
job=$(sed -nE 's/.*landfall job follow ([0-9]+).*/\1/p' <<<"$output")
status "follow it later" 0 "job $job is done.*recovery point 1" landfall job follow "$job"
after=$(guest_acked db)
proven "the first copy from behind ssh" db "$before" $((after + 2)) vda
status "follow what has ended" 0 "job $job is done" landfall job follow "$job"
status "replicate what is replicated" 1 . landfall replicate web --store main

# --- cycles -------------------------------------------------------------------------------------

before=$(guest_acked web)
status "a cycle now" 0 'vda +bitmap' landfall sync web --follow
after=$(guest_acked web)
proven "its recovery point" web "$before" $((after + 2)) vda vdb
is "recovery points" "$(landfall recovery-point list web --json | jq -c '[.items[].number]')" '[1,2]'
like "as a table" "$(landfall recovery-point list web)" '2 +20.*crash +vda bitmap, vdb bitmap'
landfall sync far/db --follow --json >"$KIT_TMP/events"
is "a cycle there, followed as JSON" "$(jq -r .state <"$KIT_TMP/events" | tail -n 1)" 'done'
is "its recovery point is the second" "$(tail -n 1 "$KIT_TMP/events" | jq .result.number)" 2
status "a proof" 0 'is done' landfall verify web --follow
like "the machines, replicated" "$(landfall machine list)" 'web +here +running +replicating +2 '
like "the jobs" "$(landfall job list --machine web)" 'verify +web +done'
status "the settings of a machine" 0 'are changed' landfall settings web --bandwidth 1M --priority 5 --blackout 'Sun 01:00-02:00'
is "they are kept" "$(machine web '.replication | [.bandwidth, .priority, .blackout[0]] | join(" ")')" '1048576 5 Sun 01:00-02:00'
status "a window that is none" 2 . landfall settings web --blackout 'Someday'
status "pause" 0 'web is paused.*landfall resume web' landfall pause web
is "it is paused" "$(machine web .state)" paused
status "resume" 0 'replicated again' landfall resume web
is "it goes on" "$(machine web .state)" replicating

# --- looking away, cancelling, a daemon that dies -----------------------------------------------

guest_write web sda 0 16777216 something
job=$(job_of landfall sync web)
ok "the cycle runs" wait_for 20 job_is "$job" running
# On a terminal, by ^C. script(1) may end with 0 when the terminal closes before its child is waited for,
# so the shell in there tells how the command ended.
run script -qc "trap : INT; landfall job follow $job; echo \"ended with \$?\"" /dev/null \
    < <(sleep 2 && printf '\003' && sleep 2)
like "A53: to look away is no success" "$output" 'ended with 1'
like "the bar" "$output" "job $job: cycle of web.*reading +\\[#+-+\\] +[0-9]+ %"
like "A53: what is said" "$output" "job $job goes on by itself.*hint: .*landfall job cancel $job ends it"
ok "A53: the job goes on" job_is "$job" running
status "cancel" 0 'is being cancelled' landfall job cancel "$job"
ok "it is cancelled" wait_for 20 job_is "$job" cancelled
status "a cancelled job is no success" 1 "job $job was cancelled" landfall job follow "$job"
job=$(job_of landfall sync web)
ok "another runs" wait_for 20 job_is "$job" running
start_background landfall job follow "$job"
follower=$KIT_PID
wait_for 10 grep -q "job $job" "$KIT_LOG"
kill -s KILL "$LANDFALLD_PID"
{ wait "$LANDFALLD_PID" || true; } 2>/dev/null
status=0
wait "$follower" || status=$?
is "A50: the daemon dies: exit code" "$status" 1
like "A50: what is said" "$(<"$KIT_LOG")" "job $job is not followed any more: .*hint: look whether landfalld"
landfalld_start d
ok "the machines are known again" wait_for 20 machine_is web .power running
landfall settings web --bandwidth unlimited >"$KIT_TMP/log"
before=$(guest_acked web)
status "a cycle after that" 0 'is done' landfall sync web --follow
after=$(guest_acked web)
proven "what the guest wrote before it" web "$before" $((after + 2)) vda vdb
landfall store export "$store" web --disk sda "$KIT_TMP/copy.sda" >"$KIT_TMP/log"
ok "what two cycles did not bring home, the third did" cmp -n 16777216 "$KIT_TMP/copy.sda" <(pattern something 16777216)

# --- the end ------------------------------------------------------------------------------------

status "stop" 0 'is done' landfall stop web --follow
is "no checkpoint is left here" "$(virsh -q checkpoint-list web --name | grep -c . || true)" 0
is "it is as discovered" "$(machine web .state)" discovered
ok "its recovery points are there, and whole" landfall store verify "$store" web --all
status "stop, and remove the replica" 0 'is done' landfall stop far/db --delete-replica --follow
is "no checkpoint is left there" "$(virsh -q -c "$LIBVIRT_OTHER_URI" checkpoint-list db --name | grep -c . || true)" 0
is "nor a replica" "$(landfall store list "$store" --json | jq -c '[.machines[].name]')" '["web"]'
for guest in web db; do
    is "no error reached $guest" "$(guest_console $guest | grep -c '^error' || true)" 0
done
done_testing
