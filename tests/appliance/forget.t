#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The end of a machine's replication: nothing stays on the host, on or off, and the replica goes if
# that is asked for. What is in use is left alone, and all of it can be done again.
. "$(dirname "$0")/daemon.sh"

forget() {
    landfall forget --json --host "$LIBVIRT_DEFAULT_URI" --machine "$1" --store "$daemon_store" "${@:2}"
}
cycle() {
    landfall cycle --json --host "$LIBVIRT_DEFAULT_URI" --machine "$1" --store "$daemon_store" >/dev/null
}
images_bitmaps() {
    qemu-img info --output=json "$KIT_TMP/$1.qcow2" | jq '[."format-specific".data.bitmaps // [] | .[]] | length'
}

tiny_define m1
uuid=$(virsh -q domuuid m1 | tr -d ' \n')
cycle "$uuid"
cycle "$uuid"
is "a cycle leaves its checkpoint" "$(left_of m1)" "checkpoints: 1, Job type: None"
like "of a machine that runs it goes" "$(forget "$uuid")" '"removed":\["host: deleted checkpoint landfall-'
is "and nothing else is there" "$(left_of m1)" "checkpoints: 0, Job type: None"
ok "the replica is kept" landfall store verify "$daemon_store" m1 --all
is "once more, there is nothing to do" "$(forget "$uuid" | jq -c .removed)" "[]"

# --- off ----------------------------------------------------------------------------------------

cycle "$uuid"
virsh -q destroy --graceful m1 >/dev/null
is "the image has the bitmap" "$(images_bitmaps m1)" 1
like "J10: of a machine that is off it goes, too" "$(forget "$uuid")" 'deleted checkpoint landfall-'
is "and the machine is off again" "$(virsh -q domstate m1 | tr -d '\n')" "shut off"
is "nothing is left in the image" "$(images_bitmaps m1)" 0
is "nor in its definition" "$(virsh -q dumpxml --inactive m1 | grep -c landfall: || true)" 0
is "nor with libvirt" "$(virsh -q checkpoint-list m1 --name | grep -c . || true)" 0

# --- the replica --------------------------------------------------------------------------------

exec {held}>"$daemon_store/$uuid/recovery-points/000003.json.pin"
flock -s $held
run forget "$uuid" --remove-replica
like "J10: a recovery point in use is not taken away" "$status $output" '^1 .*"conflict".*recovery point 3 .* is in use'
ok "it is still proven" landfall store verify "$daemon_store" m1 --recovery-point 3
exec {held}>&-
like "the replica goes when asked for" "$(forget "$uuid" --remove-replica)" 'store: removed the replica'
ok "its folder has gone" [ ! -e "$daemon_store/$uuid" ]
ok "and once more" forget "$uuid" --remove-replica
ok "the store is one, with nothing in it" landfall store list "$daemon_store"

virsh -q undefine m1 >/dev/null
ok "a machine that the host no longer has is no error" forget "$uuid"
ok "nor is a store that never was one" landfall forget --json --host "$LIBVIRT_DEFAULT_URI" \
    --machine "$uuid" --store "$KIT_TMP/nowhere"
done_testing
