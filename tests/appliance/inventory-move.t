#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Live migration from one host to another while the daemon looks on: a replicated machine stays the
# machine it is; nothing else counts as one that has moved.
. "$(dirname "$0")/../kit/libvirtd.sh"
. "$(dirname "$0")/landfalld.sh"
requires sqlite3

sql() {
    landfalld_sql state "$1"
}
says() {
    [ "$(sql "$1")" = "$2" ]
}
# soon NAME SQL EXPECTED
soon() {
    wait_for 30 says "$2" "$3" || true
    is "$1" "$(sql "$2")" "$3"
}
define() {
    cat >"$KIT_TMP/$1.xml" <<END
<domain type='qemu'><name>$1</name><uuid>$2</uuid><memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>
END
    virsh -q define "$KIT_TMP/$1.xml" >"$KIT_TMP/.define"
}
# migrate FROM-URI TO-URI PORT NAME OPTION…
migrate() {
    local from=$1 to=$2 port=$3
    shift 3
    virsh -q -c "$from" migrate "$@" --desturi "$to" --migrateuri "tcp://127.0.0.1:$port" --live \
        --persistent
}

libvirtd_start_other b
mkdir "$KIT_TMP/store"
landfalld_start state
stop_process "$LANDFALLD_PID"
define moves 6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11
define other 0f6c7f7e-8e43-4a35-9a44-3f0f0a4f7d02
virsh -q start moves
virsh -q start other
sql "INSERT INTO host (name, uri, role, added_us) VALUES
         ('a', 'qemu:///system', 'source', 1), ('b', '$LIBVIRT_OTHER_URI', 'source', 1);
     INSERT INTO setting (name, value) VALUES ('inventory_interval_s', '1');
     INSERT INTO machine (id, host, uuid, name, power, first_seen_us, seen_us) VALUES
         (1, 'a', '6a4b0a4e-52a9-4ed2-a7f5-7a5c2a2b0a11', 'moves', 'running', 1, 1);
     INSERT INTO store (name, kind, path, added_us) VALUES ('s', 'local', '$KIT_TMP/store', 1);
     INSERT INTO replication (machine, store, state, paused, retain, created_us) VALUES
         (1, 's', 'replicating', 1, 24, 1);"
landfalld_start state
soon "the machine is there" "SELECT seen_us > 1 FROM machine WHERE id = 1" 1
soon "another one, which is not replicated" "SELECT host FROM machine WHERE id = 2" a

ok "one is migrated, and defined no more where it was" \
    migrate qemu:///system "$LIBVIRT_OTHER_URI" 49400 moves --undefinesource
soon "A28: it keeps its number" "SELECT host FROM machine WHERE id = 1" b
is "A28: and there is one of it" "$(sql "SELECT count(*) FROM machine WHERE name = 'moves'")" 1
is "A28: and its replication" "$(sql "SELECT state FROM replication WHERE machine = 1")" replicating
is "A28: the audit tells of it" \
    "$(sql "SELECT who || ' ' || detail FROM audit WHERE action = 'machine.move'")" \
    'landfalld {"from":"a","to":"b"}'
ok "the other one is migrated" \
    migrate qemu:///system "$LIBVIRT_OTHER_URI" 49401 other --undefinesource
soon "A28: what is not replicated is known anew" \
    "SELECT host FROM machine WHERE name = 'other' AND id != 2 AND gone_us IS NULL" b
soon "A28: and gone where it was" "SELECT gone_us IS NOT NULL FROM machine WHERE id = 2" 1

ok "back, and still defined where it was" migrate "$LIBVIRT_OTHER_URI" qemu:///system 49402 moves
soon "A28: it is followed again" "SELECT host FROM machine WHERE id = 1" a
soon "A28: what it left behind is another machine, and off" \
    "SELECT host || ' ' || power FROM machine WHERE name = 'moves' AND id != 1 AND gone_us IS NULL" \
    'b off'
virsh -q -c "$LIBVIRT_OTHER_URI" start moves
soon "A28: that one runs: it has not come from anywhere" \
    "SELECT host || ' ' || power FROM machine WHERE name = 'moves' AND id != 1 AND gone_us IS NULL" \
    'b running'
virsh -q destroy moves
soon "A28: nor when the other is off" "SELECT power FROM machine WHERE id = 1" off
seen=$(sql "SELECT seen_us FROM host WHERE name = 'b'")
soon "A28: when that has been looked at again" \
    "SELECT seen_us > $seen + 1000000 FROM host WHERE name = 'b'" 1
is "A28: nothing has moved" "$(sql "SELECT host FROM machine WHERE id = 1")" a
done_testing
