#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The inventory beside a guest that runs: what its agent tells, disks that come and go, a QEMU that
# stands still and is no trouble for its host.
. "$(dirname "$0")/../kit/guest.sh"
. "$(dirname "$0")/landfalld.sh"
requires sqlite3

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M ext4
guest_make_disk "$KIT_TMP/vdb.qcow2" qcow2 32M
guest_define m1 --mode agentfs --agent --disk "vda:qcow2:$KIT_TMP/vda.qcow2"
landfalld_start state
stop_process "$LANDFALLD_PID"
landfalld_sql state "INSERT INTO host (name, uri, role, added_us) VALUES
        ('a', 'qemu:///system', 'source', 1);
    INSERT INTO setting (name, value) VALUES
        ('inventory_interval_s', '3600'), ('guest_deadline_s', '2');"
landfalld_start state

fact() {
    echo "SELECT json_extract(facts, '$1') FROM machine WHERE name = 'm1'"
}
says() {
    [[ $(landfalld_sql state "$1") =~ $2 ]]
}
# soon NAME SQL REGEX
soon() {
    wait_for 30 says "$2" "$3" || true
    like "$1" "$(landfalld_sql state "$2")" "$3"
}

soon "A20: a machine that is off" "SELECT power FROM machine" '^off$'
guest_start m1
soon "A20: it starts" "SELECT power FROM machine" '^running$'
ok "the guest boots" guest_wait_ready m1
soon "A23: its agent is there" "$(fact '$.agent.connected')" '^1$'
soon "A23: and tells of file systems" "$(fact '$.agent.report.file_systems[0].type')" '^ext4$'
virsh -q attach-disk m1 "$KIT_TMP/vdb.qcow2" vdb --subdriver qcow2 --live
soon "A20: a disk that is plugged in appears" "$(fact '$.disks[1].name')" '^vdb$'
soon "A23: with its size" "$(fact '$.disks[1].capacity_bytes')" "^$((32 << 20))\$"
virsh -q detach-disk m1 vdb --live
soon "A20: and goes when it is pulled" "$(fact '$.disks[1].name')" '^$'

ok "a cycle" landfall cycle --host qemu:///system --machine m1 --store "$KIT_TMP/store"
virsh -q desc m1 --title "after a cycle" --live
soon "A24: checkpoints of ours are told apart" "$(fact '$.usage.checkpoints[0].store')" '^[0-9a-f]{12}$'
soon "A24: they are none of another tool" "$(fact '$.checkpoints')" '^\[\]$'

qemu=$(guest_qemu_pid m1)
kill -s STOP "$qemu"
virsh -q desc m1 --title "QEMU stands still" --live
soon "A22: QEMU stands still: the machine does not answer" "$(fact '$.unresponsive')" \
    'no answer in 2 s'
soon "A22: what libvirt knows is known" "$(fact '$.title')" 'QEMU stands still'
soon "A22: its host is connected" "SELECT status FROM host" '^connected$'
kill -s CONT "$qemu"
guest_destroy m1
soon "A22: in another state it may answer" "SELECT power || coalesce(json_extract(facts, '$.unresponsive'), '') FROM machine" '^off$'
done_testing
