#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine that boots from its own disk and counts is moved to another host and back, at seeded instants,
# three times (LANDFALL_LONG=1: twenty). Nothing that it acknowledged is lost, it counts on, and it never
# runs twice. LANDFALL_SEED repeats a run's choices.
. "$(dirname "$0")/failover.sh"

runs=3
[ -z "${LANDFALL_LONG:-}" ] || runs=20
seed=${LANDFALL_SEED:-$((EPOCHSECONDS % 32768))}
diag "LANDFALL_SEED=$seed"
RANDOM=$seed

# The latest recovery point, by stock QEMU on the exported image.
point_holds() {
    landfall store export "$store" $machine --disk vda --format raw --force "$KIT_TMP/copy.raw" >/dev/null &&
        record-check --at-least "$1" "$KIT_TMP/copy.raw"
}

last_point() {
    landfall recovery-point list $machine --json | jq -c '.items[-1]'
}

two_hosts
define_counting $machine 25
guest_start $machine
guest_wait_acked $machine $patience 20
mac=$(virsh -q domiflist $machine | awk '{ print $5 }')
disk=$KIT_TMP/$machine.qcow2
replicated $machine

said_by "a plan" 0 'lan' landfall migrate $machine --plan --target there
ok "a plan changes nothing" power_at here $machine running

for run in $(seq $runs); do
    name="move $run"
    verify=transferred
    ((RANDOM % 2)) || verify=full
    sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
    said_by "$name ($verify)" 0 "down for" landfall migrate $machine --target there --verify $verify \
        --probe 'console=writer goes on after' --yes --follow
    acked=$(guest_acked $machine)
    is "$name: the source is off" "$(guest_state $machine)" "shut off"
    is "$name: it is running there" "$(there guest_state $machine)" running
    is "$name: its state" "$(state_of $machine)" migrated
    is "$name: the network card" "$(there virsh -q domiflist $machine | awk '{ print $3, $5 }')" "lan $mac"
    ok "$name: all $acked acknowledged records are in the replica" point_holds "$acked"
    ok "$name: and no more than there were" record-check --at-most $((acked + 1)) "$KIT_TMP/copy.raw"
    ok "$name: it is the source's disk" qemu-img compare -q -F raw "$disk" "$KIT_TMP/copy.raw"
    console=$(there console_of $machine)
    ok "$name: the guest counts on there" lives_on "$name" "$console" "$acked"
    ok "$name: with its own card" grep -aq "^card eth0 $mac" "$console"
    said_by "$name: a cycle of the source is refused" 1 'migrate' landfall sync $machine
    fails "$name: also past the daemon" landfall cycle --host "$LIBVIRT_DEFAULT_URI" --machine $machine --store "$store"
    is "$name: it does not start with its host" "$(virsh -q dominfo $machine | awk '/Autostart/ { print $2 }')" disable
    like "$name: it is stamped" "$(virsh dumpxml --inactive $machine)" 'urn:landfall:fence'
    ok "$name: its disk was left alone" qemu-img compare -q -F raw "$disk" "$KIT_TMP/copy.raw"
    here_until=$(stat -c %s "$KIT_TMP/$machine.console")
    never_two "$name: it never ran twice"

    name="return $run"
    said_by "$name" 0 "is done" landfall rollback $machine --yes --follow
    is "$name: the machine is gone from there" "$(there virsh -q list --all --name | xargs)" ""
    is "$name: it is running here" "$(guest_state $machine)" running
    ok "$name: the guest counts on here" lives_on "$name" "$KIT_TMP/$machine.console" "$acked" "$acked" "$here_until"
    unlike "$name: the stamp is gone" "$(virsh dumpxml --inactive $machine)" 'urn:landfall:fence'
    said_by "$name: replication goes on" 0 'vda +bitmap' landfall sync $machine --follow
    never_two "$name: it never ran twice"
done
is "no error reached the guest" "$(grep -ac '^error' "$KIT_TMP/$machine.console" || true)" 0
is "nothing of ours is left there" "$(find "$store"/*/clones "$store"/*/pins -type f 2>/dev/null | wc -l)" 0
done_testing
