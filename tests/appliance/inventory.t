#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The inventory against real libvirtds: machines appear, change and go by themselves; a host that
# dies or stands still is lost, with the cause, and known again when it is back; it holds up nobody.
. "$(dirname "$0")/../kit/libvirtd.sh"
. "$(dirname "$0")/landfalld.sh"
requires sqlite3 curl jq

sql() {
    landfalld_sql state "$1"
}

sql_says() {
    [ "$(sql "$1")" = "$2" ]
}

# soon NAME SQL EXPECTED [SECONDS]: the answer becomes the expected one.
soon() {
    if wait_for "${4:-30}" sql_says "$2" "$3"; then
        pass "$1"
    else
        is "$1" "$(sql "$2")" "$3"
    fi
}

fact() {
    echo "SELECT json_extract(facts, '$2') FROM machine WHERE name = '$1'"
}

status_of() {
    echo "SELECT status FROM host WHERE name = '$1'"
}

# machine_xml NAME [MORE DEVICES]
machine_xml() {
    cat <<END
<domain type='qemu'><name>$1</name><memory unit='MiB'>64</memory><vcpu>2</vcpu>
  <title>The $1 machine</title>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>${2:-}</devices></domain>
END
}

define() {
    machine_xml "$@" >"$KIT_TMP/$1.xml"
    virsh -q define "$KIT_TMP/$1.xml" >"$KIT_TMP/.define"
}

# Two libvirtds, one connection within the process, one that never comes about.
libvirtd_start_other b
landfalld_start state
stop_process "$LANDFALLD_PID"
sql "INSERT INTO host (name, uri, role, added_us) VALUES
         ('a', 'qemu:///system', 'source', 1), ('b', '$LIBVIRT_OTHER_URI', 'both', 1),
         ('t', 'test:///default', 'source', 1), ('bad', 'nonsense:///x', 'source', 1);
     INSERT INTO setting (name, value) VALUES
         ('inventory_interval_s', '3600'), ('host_deadline_s', '4');"
qemu-img create -q -f qcow2 "$KIT_TMP/vda.qcow2" 64M
qemu-img create -q -f raw "$KIT_TMP/vdb.raw" 8M
define first "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
    <source file='$KIT_TMP/vda.qcow2'/><target dev='vda' bus='virtio'/></disk>
  <disk type='file' device='disk'><driver name='qemu' type='raw'/>
    <source file='$KIT_TMP/vdb.raw'/><target dev='vdb' bus='virtio'/><shareable/></disk>
  <interface type='user'><mac address='52:54:00:00:00:01'/></interface>"

# --- by events: the next look at everything is an hour away --------------------------------------
landfalld_start state
soon "A20: a host that answers is connected" "$(status_of a)" connected 8
soon "A20: and another one" "$(status_of b)" connected 8
soon "A20: a machine that was there appears" "$(fact first '$.title')" "The first machine"
is "A20: it is off" "$(sql "SELECT power FROM machine WHERE name = 'first'")" off
soon "A23: its disks have sizes" "$(fact first '$.disks[0].capacity_bytes')" $((64 << 20))
is "A23: a disk that can carry a bitmap" "$(sql "$(fact first '$.disks[0].bitmap')")" 1
like "A23: one that cannot be replicated" "$(sql "$(fact first '$.disks[1].unsupported_reason')")" \
    '^shared with other machines'
is "A23: its card" "$(sql "$(fact first '$.nics[0].mac')")" 52:54:00:00:00:01
define second
soon "A20: a machine that is defined appears" "SELECT count(*) FROM machine WHERE name = 'second'" 1
id=$(sql "SELECT id FROM machine WHERE name = 'second'")
virsh -q desc second --title "another" --config
soon "A20: a change shows" "$(fact second '$.title')" another
virsh -q undefine second
soon "A20: one that is undefined is gone" \
    "SELECT gone_us > first_seen_us FROM machine WHERE id = $id" 1
virsh -q define "$KIT_TMP/second.xml" >"$KIT_TMP/.define"
soon "A20: under the same name and another UUID it is another machine" \
    "SELECT count(*) FROM machine WHERE name = 'second'" 2

soon "A25: a driver without snapshots: its machines are known" \
    "SELECT power FROM machine WHERE host = 't'" running
like "A25: and said to be out of reach" "$(sql "$(fact test '$.replication.why')")" \
    'its hypervisor is TEST, not QEMU'
soon "A21: a URI that cannot be used: the host is lost" "$(status_of bad)" lost
like "A21: with the cause" "$(sql "SELECT status_detail FROM host WHERE name = 'bad'")" \
    'no connection driver available'

# --- a host that dies ----------------------------------------------------------------------------
libvirtd_stop
soon "A21: libvirtd ends: the host is lost" "$(status_of a)" lost
like "A21: with the cause" "$(sql "SELECT status_detail FROM host WHERE name = 'a'")" \
    'libvirtd on the host has ended|Failed to connect socket'
unlike "A21: and advice" "$(sql "SELECT hint FROM host WHERE name = 'a'")" '^$'
is "A21: its machines stay as they were seen last" \
    "$(sql "SELECT count(*) FROM machine WHERE host = 'a' AND gone_us IS NULL")" 2
is "A22: the other host is as it was" "$(sql "$(status_of b)")" connected
libvirtd_start
soon "A21: it is back: connected again" "$(status_of a)" connected 8
is "A21: that is no trouble any more" \
    "$(sql "SELECT status_detail IS NULL AND hint IS NULL FROM host WHERE name = 'a'")" 1
define third
soon "A21: and events come again" "SELECT count(*) FROM machine WHERE name = 'third'" 1

# --- over a restart, with a look at everything every second --------------------------------------
stop_process "$LANDFALLD_PID"
virsh -q undefine third
id=$(sql "SELECT id FROM machine WHERE name = 'first'")
sql "UPDATE setting SET value = '1' WHERE name = 'inventory_interval_s'"
landfalld_start state
soon "A20: what went while nobody looked is gone" \
    "SELECT gone_us IS NOT NULL FROM machine WHERE name = 'third'" 1
is "A20: what stayed keeps its number" "$(sql "SELECT id FROM machine WHERE name = 'first'")" "$id"

# --- a host that stands still --------------------------------------------------------------------
other=$(<"$KIT_TMP/libvirt-b/pid")
kill -s STOP "$other"
soon "A22: libvirtd stands still: the host is lost" "$(status_of b)" lost 12
like "A22: with the cause" "$(sql "SELECT status_detail FROM host WHERE name = 'b'")" \
    'does not answer: no answer in 4 s to: '
define fourth
soon "A22: the other host goes on" "SELECT count(*) FROM machine WHERE name = 'fourth'" 1
if [ -n "${LANDFALL_LONG:-}" ]; then
    # Each try leaves a thread behind, but there are no more than four of them.
    sleep 45
    tasks=("/proc/$LANDFALLD_PID/task"/*)
    ok "A22: threads that hang are few (${#tasks[@]} in all)" [ ${#tasks[@]} -le 16 ]
else
    skip "A22: threads that hang are few" "takes a minute: LANDFALL_LONG=1"
fi
before=$(kit_now)
ok "A22: the daemon ends all the same" stop_process "$LANDFALLD_PID"
ok "A22: at once" [ $(($(kit_now) - before)) -lt 9000000 ]
landfalld_start state
kill -s CONT "$other"
soon "A22: it goes on: connected again" "$(status_of b)" connected 12

# --- as an operator sees it ----------------------------------------------------------------------
stop_process "$LANDFALLD_PID"
landfalld_start d
export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock
start_background curl -siN --unix-socket "$LANDFALL_SOCKET" \
    'http://localhost/api/v1/events?topics=host,machine'
events=$KIT_LOG
wait_for 5 grep -q '^HTTP/1.1 200' "$events"
event_says() {
    sed -n 's/^data: //p' "$events" | jq -c "select($1)" | grep .
}
machine_says() {
    landfall machine list --json | jq -e ".items[] | select(.name == \"$1\") | $2"
}
ok "A20: a host is added while the daemon runs" landfall host add a qemu:///system
ok "A20: its machines are there at once" wait_for 5 machine_says first '.power == "off"'
ok "A20: an event tells of the host" event_says '.host == "a" and .status == "connected"'
ok "A20: an event tells of a machine" wait_for 3 event_says '.change == "appeared" and .name == "first"'
virsh -q undefine fourth
ok "A20: and of its end" wait_for 3 event_says '.change == "gone" and .name == "fourth"'
virsh -q desc first --title "again" --config
virsh -q desc first --title "and again" --config
ok "A24: and of a change" wait_for 3 machine_says first '.facts.title == "and again"'
heard=$(wc -l <"$events")
ok "a look at everything on demand" landfall host refresh a
define fifth
ok "A20: what is new is told" wait_for 3 event_says '.change == "appeared" and .name == "fifth"'
unlike "A24: what is as it was is not" "$(tail -n +$((heard + 1)) "$events")" '"name":"first"'
run landfall machine readiness first
like "A26: readiness: what is blocked" "$output" 'vdb cannot be replicated: shared with other machines'
like "A26: readiness: and what to do" "$output" '--exclude-disk'
is "A25: a host without snapshots" "$(landfall host add t test:///default --json | jq -r .name)" t
ok "A25: says so" wait_for 5 machine_says test '.facts.replication.supported == false'
ok "a host is removed" landfall host remove a
ok "and its machines with it" [ "$(landfall machine list --json | jq '[.items[] | select(.host == "a")] | length')" = 0 ]
fails "which nobody looks at any more" landfall host refresh a
done_testing
