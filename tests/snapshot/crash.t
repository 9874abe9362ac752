#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The program is killed at each step between host_open and commit, on a running machine with a guest
# agent and on one that is off. Clean then leaves the host as it was before (S6).

. "$(dirname "$0")/room.sh"

guest_make_disk "$room_images/a.qcow2" qcow2 64M ext4
guest_make_disk "$room_images/b.raw" raw 32M
disks=(--disk "vda:qcow2:$room_images/a.qcow2" --disk "vdb:raw:$room_images/b.raw")
guest_define demo --mode agentfs --agent "${disks[@]}"
guest_start demo
guest_wait_ready demo
A=67108864 B=33554432

agent_says() {
    [ "$(virsh -q qemu-agent-command demo "{\"execute\":\"guest-$1\"}" | jq -r .return)" = "$2" ]
}
wait_for 30 agent_says ping '{}'

cycle commit --machine demo --disk vda --disk vdb
one=$(jq -r .checkpoint <<<"$taken")
is "with an agent the snapshot is file system-consistent" "$(jq -r .consistency <<<"$taken")" \
    filesystem
plan=(--machine demo --number 2 --disk "vda,$A,$one" --disk "vdb,$B,$one")
before=$(host_state)

# dies STEP [WORD]: a cycle with that fault; it has to be the fault that ends it.
dies() {
    SNAPSHOT_FAULT=$1 hold "${plan[@]}"
    [ $# -lt 2 ] || hold_say "$2"
    hold_done
    is "$1: the program was killed there" "$status" 137
}

# cleans STEP KEEP: and then a cycle goes through again.
cleans() {
    room clean --machine demo --keep "$2"
    is "$1: clean succeeds" "$status" 0
    is "$1: clean leaves the host as it was" "$(host_state)" "$before"
}

for step in virDomainFSFreeze:kill-after virDomainBackupBegin:kill-after; do
    dies $step
    ok "$step: the guest is frozen" agent_says fsfreeze-status frozen
    ok "$step: something is left" [ "$(host_state)" != "$before" ]
    cleans $step "$one"
    like "$step: clean says that it thawed" "$(field .removed)" "thawed"
    ok "$step: the guest is thawed" agent_says fsfreeze-status thawed
done

dies virDomainAbortJob:kill-before end
like "killed while reading: the scratch files are there" "$(our_files)" \
    "landfall-test-000002-.*-vda.qcow2"
cleans virDomainAbortJob:kill-before "$one"
like "clean says what it removed" "$(field '.removed | join(";")')" \
    "ended a backup job;deleted checkpoint landfall-test-000002"
dies virDomainAbortJob:kill-after end
wait_for 10 eval '! virsh -q backup-dumpxml demo'
cleans virDomainAbortJob:kill-after "$one"

SNAPSHOT_FAULT=virDomainBackupBegin:fail-after hold "${plan[@]}"
hold_done
is "a begin that fails after all is done: refused" "$status" 1
is "a begin that fails after all is done: nothing is left" "$(host_state)" "$before"
ok "and the guest is thawed" agent_says fsfreeze-status thawed

dies virDomainCheckpointDelete:kill-before commit
two=$(checkpoints demo | tr ' ' '\n' | grep landfall-test-000002)
is "killed in commit: old and new are there" "$(checkpoints demo)" "$one $two "
room clean --machine demo --keep "$two"
is "killed in commit: clean keeps the one that counts" "$(checkpoints demo)" "$two "
cycle abort --machine demo --number 3 --disk "vda,$A,$two"
is "and the next cycle is a delta" "$(jq -r .disks.vda.bitmap <<<"$taken")" \
    qemu:dirty-bitmap:landfall-delta

# --- files of another machine of the same store -------------------------------------------------

touch "$room_images/landfall-test-000002-00000000-000000-vda.qcow2" \
    "$room_images/landfall-test-notes.txt"
room clean --machine demo --keep "$two"
is "S4: another machine's scratch file and an unknown file stay" "$(our_files | wc -l)" 2
rm "$room_images"/landfall-*

# --- a machine that is off ----------------------------------------------------------------------

guest_shutdown demo
before=$(host_state)
plan=(--machine demo --number 3 --disk "vda,$A,$two" --disk "vdb,$B,$two")
for step in virDomainCreateWithFlags:kill-before virDomainCreateWithFlags:kill-after \
    virDomainBackupBegin:kill-after; do
    dies $step
    like "off, $step: the marker is there" "$(virsh dumpxml --inactive demo)" "started-paused"
    cleans "off, $step" "$two"
done
dies virDomainDestroyFlags:kill-before abort
cleans "off, virDomainDestroyFlags:kill-before" "$two"
dies virDomainDestroyFlags:kill-after abort
cleans "off, virDomainDestroyFlags:kill-after" "$two"

hold "${plan[@]}"
is "off: after all that the bitmap is sound" "$(field '.disks.vda | "\(.bitmap) \(.cause)"')" \
    "qemu:dirty-bitmap:landfall-delta null"
is "off: that it was shut down is not known any more" "$(field .consistency)" off
hold_kill
virsh -q resume demo
guest_open_channel demo
guest_wait_ready demo
room clean --machine demo --keep "$two"
like "S7: a machine that was resumed is left running" "$(field .removed)" "left the machine running"
is "S7: it runs" "$(guest_state demo)" running
is "S7: but what is ours is gone" "$(checkpoints demo)$(our_files)" "$two "
unlike "S7: the marker too" "$(virsh dumpxml demo; virsh dumpxml --inactive demo)" "landfall:"
done_testing
